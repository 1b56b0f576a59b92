/** The works of the launchers' contract as scripts of a shell; the gate is the file that `GATE` names. */
import { largeCharacters, talkedLine, talkedLines, type Work } from '../../launchers/contract.ts';

const report = (percent: string) =>
  `printf '{"percentComplete":%s}' ${percent} > "$POP_PROGRESS_FILE.tmp"; ` +
  'mv "$POP_PROGRESS_FILE.tmp" "$POP_PROGRESS_FILE"';

/** By what they do. The first process of a container hears of SIGTERM only when it asks for it, hence the traps. */
export const shellWorks: Readonly<Record<Exclude<Work, 'neverStart'>, string>> = {
  echo: 'cp "$POP_PAYLOAD_FILE" "$POP_RESULT_FILE"',
  large: `(printf '"'; head -c ${largeCharacters} /dev/zero | tr '\\0' x; printf '"') > "$POP_RESULT_FILE"`,
  fail: 'exit 3',
  reportAndWait:
    `trap "exit 143" TERM; ${report('40')}; until [ -e "$GATE" ]; do sleep 0.02; done; ` +
    `echo '"done"' > "$POP_RESULT_FILE"`,
  waitForEver: 'trap "exit 143" TERM; while true; do sleep 0.05; done',
  ignoreStop: 'trap "" TERM; while true; do sleep 0.05; done',
  reportOften: `for i in 1 2 3 4 5 6 7 8; do ${report('$i')}; sleep 0.25; done`,
  talk: `yes '${talkedLine}' | head -n ${talkedLines}; echo the end`,
};

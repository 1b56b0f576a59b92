/** `pop handler run`: one handler on this machine, without a server. */
import type { Command } from 'commander';
import type { OperationTimeout } from '../../agenda/types.ts';
import { readRegistry } from '../chosen-registry.ts';
import type { CommandSpec } from '../command.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { handlerToRun } from '../handler-to-run.ts';
import { readJsonInput } from '../json-input.ts';
import { secondsAboveZero } from '../option-values.ts';
import { RunScreen } from '../run-screen.ts';
import { stopSignals } from '../stop-signals.ts';

interface HandlerRunOptions {
  readonly payload?: string;
  readonly registry?: string;
  readonly lastProgress?: string;
  readonly runSeconds?: number;
  readonly quietSeconds?: number;
}

async function run(command: Command): Promise<ExitCode> {
  const options = command.opts<HandlerRunOptions>();
  const [named = ''] = command.args;
  const [{ tryHandler }, { withLimits }] = await Promise.all([
    import('../../local-run/run-handler.ts'),
    import('../../launchers/registry.ts'),
  ]);
  const payload = options.payload === undefined ? 'null' : await readJsonInput(options.payload);
  const lastProgress = options.lastProgress === undefined ? undefined : await readJsonInput(options.lastProgress);
  const { type, settings } = await handlerToRun(named, await readRegistry(options.registry));
  using screen = new RunScreen();
  using stop = stopSignals();
  stop.first.addEventListener('abort', () => screen.line('The handler is asked to end. Once more: it is killed.'));
  const shown = { operation: type, outcome: null, diagnosticEvents: null, percentComplete: 0 };
  screen.changed({ ...shown, processingState: 'EXECUTING', processingStateMessage: 'executing' });
  const end = await tryHandler({
    type,
    settings: withLimits(settings, limitsOf(options)),
    payload,
    ...(lastProgress === undefined ? {} : { lastProgress }),
    ...{ cancel: stop.first, kill: stop.second },
    progress: ({ message = 'executing', percentComplete = 0 }) =>
      screen.changed({ ...shown, processingState: 'EXECUTING', processingStateMessage: message, percentComplete }),
    output: (line) => screen.line(line),
  });
  const { outcome, failure, events, result } = end;
  const shownOutcome = failure?.category === 'timeout' ? 'timed out' : outcome;
  screen.changed({ ...shown, processingState: 'COMPLETE', processingStateMessage: outcome, outcome: shownOutcome });
  for (const { code, message } of events) screen.line(code === undefined ? message : `${code}: ${message}`);
  if (failure !== undefined) screen.line(`category ${failure.category}, code ${failure.code}; docs/failures.md`);
  if (result !== null) console.log(JSON.stringify(JSON.parse(result), null, 2));
  if (failure?.category === 'timeout') return exitCodes.timedOut;
  return outcome === 'succeeded' ? exitCodes.done : exitCodes.failed;
}

const limitsOf = ({ runSeconds, quietSeconds }: HandlerRunOptions): OperationTimeout => ({
  ...(runSeconds !== undefined && { runSeconds }),
  ...(quietSeconds !== undefined && { quietSeconds }),
});

/** `pop handler run` */
export const handlerRun: CommandSpec = {
  examples: [
    { line: 'pop handler run handler.ts --payload payload.json', does: 'a program, with a payload from a file' },
    { line: `pop handler run resize --payload '{ "width": 64 }'`, does: 'a type of ./registry.json' },
    { line: 'pop handler run resize --payload p.json > result.json', does: 'keep the result; the rest is on stderr' },
  ],
  description:
    'Runs one handler on this machine as a pool worker would, without a server: its output and progress on stderr as ' +
    'they come, then its result on stdout. A program that the registry names is run with its entry; .ts and .js are ' +
    'run by node, .py by python3, .sh by sh, and what is executable by itself.\n\n' +
    'Exit code 0: it succeeded. 1: it failed. 2: the call was wrong. 4: it broke one of its limits.',
  declare: (command) =>
    command
      .argument('<handler>', 'a type of the registry, or a program')
      .option('--payload <json>', 'a file, - for standard input, or JSON that begins with {, [ or " (default: null)')
      .option('--registry <file>', 'which program does which Operation type (default: ./registry.json, if it is there)')
      .option('--last-progress <json>', 'the OperationProgress of an earlier run, for it to go on from there')
      .option('--run-seconds <seconds>', 'longest time that it may take', secondsAboveZero)
      .option('--quiet-seconds <seconds>', 'longest time without output and progress', secondsAboveZero),
  run,
};

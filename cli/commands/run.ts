/** `pop run --local`: a whole Agenda on this machine, without a server. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import type { AgendaOutcome } from '../../agenda/outcomes.ts';
import { readRegistry } from '../chosen-registry.ts';
import type { CommandSpec } from '../command.ts';
import { CommandError, type ExitCode, exitCodes } from '../exit-codes.ts';
import { readInput } from '../json-input.ts';
import { countOf } from '../option-values.ts';
import { RunScreen } from '../run-screen.ts';
import { stopSignals } from '../stop-signals.ts';

interface RunOptions {
  readonly local?: boolean;
  readonly registry?: string;
  readonly mock?: readonly string[];
  readonly maxParallel: number;
  readonly output: 'text' | 'json';
  readonly out?: string;
}

/** A machine with one processor still overlaps what waits. */
const fewestInFlight = 4;

async function run(command: Command): Promise<ExitCode> {
  const options = command.opts<RunOptions>();
  const [file = ''] = command.args;
  if (options.local !== true)
    throw new CommandError(exitCodes.usage, 'say --local; to run it on a server, submit it to the api (POST /agenda)');
  const [{ AgendaFaults, readAgendaText }, { MockError, readMock }, { runAgenda }] = await Promise.all([
    import('../../local-run/read-agenda-text.ts'),
    import('../../local-run/mocks.ts'),
    import('../../local-run/run-agenda.ts'),
  ]);
  const asUsage = (error: unknown): never => {
    if (!(error instanceof AgendaFaults || error instanceof MockError)) throw error;
    const isMany = error instanceof AgendaFaults && error.lines.length > 1;
    const message = isMany ? `${error.lines.length} faults\n${error.message}` : error.message;
    throw new CommandError(exitCodes.usage, message, { cause: error });
  };
  const [name, text] = readInput(file);
  const checked = await readAgendaText(text, name).catch(asUsage);
  const registry = await readRegistry(options.registry);
  const mocks = new Map(await Promise.all((options.mock ?? []).map(async (mock) => readMock(mock))).catch(asUsage));
  using screen = new RunScreen();
  // Of several Agendas that are run with the same mocks not each has them all, so it is no fault.
  for (const type of mocks.keys())
    if (!checked.agenda.operations.some((operation) => operation.type === type))
      screen.line(`No Operation is of the type ${type}, which --mock names.`);
  using stop = stopSignals();
  stop.first.addEventListener('abort', () => screen.line('Cancelling: handlers are asked to end. Once more: at once.'));
  const began = performance.now();
  const progress = await runAgenda(checked, {
    ...{ registry, mocks, mostInFlight: options.maxParallel, cancel: stop.first, kill: stop.second },
    changed: (operation) => screen.changed(operation),
    said: (operation, message) => screen.line(`${operation}: ${message}`),
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const { outcome, diagnosticEvents = [] } = progress as unknown as {
    readonly outcome: AgendaOutcome;
    readonly diagnosticEvents?: readonly { readonly message: string }[];
  };
  const json = `${JSON.stringify(progress, null, 2)}\n`;
  if (options.out !== undefined) writeFileSync(options.out, json);
  if (options.output === 'json') process.stdout.write(json);
  else console.log([`${outcome} after ${seconds} s`, ...diagnosticEvents.map(({ message }) => message)].join(': '));
  return outcome === 'succeeded' ? exitCodes.done : exitCodes.failed;
}

const list = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

/** `pop run` */
export const runCommand: CommandSpec = {
  examples: [
    { line: 'pop run --local agenda.json', does: 'run an Agenda with the handlers of ./registry.json' },
    { line: 'pop run --local agenda.json --mock transcode=result.json', does: 'one type gives what a file holds' },
    { line: "pop run --local agenda.json --mock 'transcode=!No disk.'", does: 'one type fails with this message' },
    { line: 'pop run --local agenda.json -o json > progress.json', does: 'keep the record that the api would answer' },
  ],
  description:
    'Runs a whole Agenda on this machine, without a server, as a server would: it is checked as a submission is, ' +
    'each Operation starts once those that it depends on have succeeded, and the record at the end is that of the ' +
    'api. What only admission goes by has no effect: notBefore, priority, peak, expectedSeconds, doNotRun.\n\n' +
    'Exit code 0: the Agenda succeeded. 1: it failed or was cancelled. 2: it is no Agenda, or the call was wrong.',
  declare: (command) =>
    command
      .argument('<agenda>', 'a JSON file; - for standard input')
      .option('--local', 'on this machine, without a server')
      .option('--registry <file>', 'which program does which Operation type (default: ./registry.json, if it is there)')
      .option('--mock <type=file>', 'a type that is not launched: its result is the file; repeatable', list)
      .addOption(
        new Option('--max-parallel <number>', 'most Operations at once')
          .argParser(countOf)
          .default(Math.max(fewestInFlight, availableParallelism())),
      )
      .addOption(new Option('-o, --output <form>', 'what is printed').choices(['text', 'json']).default('text'))
      .option('--out <file>', 'also write the AgendaProgress as JSON into a file'),
  run,
};

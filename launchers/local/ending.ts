/** Makes the Ending of a run out of what its directory says. */
import { closeSync, fstatSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { FailureCode } from '../../agenda/failure.ts';
import { type DiagnosticEvent, type Json, maximumPayloadBytes } from '../../agenda/types.ts';
import type { Ending, HandlerLog } from '../launcher.ts';
import type { LocalRun } from './local-run.ts';
import { readLog } from './log-file.ts';
import { cleanJson, type ProgressFile } from './progress-file.ts';
import {
  type ExitRecord,
  fileNames,
  NotReadableError,
  openRegular,
  type StartedRecord,
  type StopRecord,
} from './run-files.ts';

const lastLines = 10;
const fewestFreeBytes = 65_536;
const maximumLineCharacters = 2_000;

/** The facts of a run of which nothing is alive any more. */
export interface Remains {
  readonly run: LocalRun;
  readonly directory: string;
  readonly progress: ProgressFile;
  readonly started?: StartedRecord | undefined;
  readonly exit?: ExitRecord | undefined;
  readonly stop?: StopRecord | undefined;
}

/**
 * Decides how the run ended. A recorded stop decides before the exit does: a handler that heeds SIGTERM and exits 0 has
 * not done its work.
 */
export function endingOf(remains: Remains): Ending {
  const { run, directory, started, exit, stop, progress } = remains;
  const log = readLog(join(directory, fileNames.log), run.settings.logBytes, exit?.droppedBytes);
  const endedTime = exit?.endedTime ?? (stop !== undefined ? Date.now() : undefined);
  const common = {
    ...(started !== undefined && { startedTime: started.startedTime }),
    ...(endedTime !== undefined && { endedTime }),
    ...(started !== undefined && { log }),
    ...(progress.report !== undefined && { progress: progress.report.progress }),
  };
  if (stop?.reason === 'cancelled') return { kind: 'cancelled', message: 'The handler was stopped.', ...common };
  if (stop?.reason === 'shutdown')
    return { kind: 'lost', code: 'drained', message: 'The handler was stopped with its place.', ...common };
  if (stop?.reason === 'timedOut') {
    const event = timedOutEvent(stop, log, endedTime);
    return { kind: 'timedOut', limit: stop.limit, diagnosticEvents: [...reported(progress), event], ...common };
  }
  if (exit === undefined && stop === undefined) {
    const unseen =
      'The handler is gone and nothing saw how it ended: ' +
      'its host restarted, or it was killed together with its shim';
    return isDiskFull(directory)
      ? { kind: 'lost', code: 'diskFull', message: `${unseen}. The disk of its run directory is full.`, ...common }
      : { kind: 'lost', code: 'lost', message: `${unseen}.`, ...common };
  }
  return {
    ...(run.settings.contract === 'pop1' ? outcomeOfReport(remains, log) : outcomeOfExit(remains, log)),
    ...common,
  };
}

type Outcome =
  | { kind: 'succeeded'; result?: Json }
  | { kind: 'failed'; code: FailureCode; diagnosticEvents: readonly DiagnosticEvent[]; result?: Json };

function outcomeOfExit(remains: Remains, log: HandlerLog): Outcome {
  const { exit, progress } = remains;
  const time = exit?.endedTime ?? Date.now();
  const events = [...reported(progress)];
  if (progress.report?.outcome === 'failed' && events.length === 0) {
    events.push({
      code: 'reportedFailure',
      message: progress.report.progress.message ?? 'The handler reported a failure.',
      time,
    });
  }
  const isReported = progress.report?.outcome === 'failed';
  const isFailed = isReported || exit?.exitCode !== 0;
  if (exit?.signal != null) {
    events.push({ code: 'signal', message: `The handler was killed by ${exit.signal}.`, time, payload: tail(log) });
  } else if (exit?.exitCode !== 0) {
    events.push({
      code: 'exitCode',
      message: `The handler ended with exit code ${exit?.exitCode}.`,
      time,
      payload: tail(log),
    });
  }
  const result = remains.run.settings.resultFrom === 'file' ? resultOfFile(remains) : resultOfLog(log.output);
  const code = isReported ? 'reportedFailure' : exit?.signal != null ? 'signal' : 'exitCode';
  return conclude(isFailed ? code : undefined, events, result, log, time);
}

/** POP's rule: the report decides; the exit code says nothing. */
function outcomeOfReport(remains: Remains, log: HandlerLog): Outcome {
  const { run, exit, progress } = remains;
  const time = exit?.endedTime ?? Date.now();
  const events = [...reported(progress)];
  const outcome = progress.report?.outcome;
  let code: FailureCode | undefined = outcome === 'succeeded' ? undefined : 'reportedFailure';
  if (outcome === undefined) {
    code = 'noProgress';
    events.push({ code, message: 'No progress was reported.', time, payload: tail(log) });
  } else if (!log.output.includes(run.settings.endOfLogIdentifier)) {
    code ??= 'endOfLogMissing';
    events.push({
      code: 'endOfLogMissing',
      message: `The output does not end with "${run.settings.endOfLogIdentifier}".`,
      time,
      payload: tail(log),
    });
  }
  if (code !== undefined && events.length === 0)
    events.push({ code, message: 'The handler reported a failure.', time });
  const payload = progress.report?.resultPayload;
  const fromElsewhere = () =>
    run.settings.resultFrom === 'file'
      ? resultOfFile(remains)
      : resultOfLog(log.output, run.settings.endOfLogIdentifier);
  return conclude(
    code,
    events,
    payload === undefined ? fromElsewhere() : parseResult(payload, 'The reported result'),
    log,
    time,
  );
}

/** `code` of a handler that failed; else what cannot be read as its result fails it. */
function conclude(
  code: FailureCode | undefined,
  events: readonly DiagnosticEvent[],
  result: Result,
  log: HandlerLog,
  time: number,
): Outcome {
  if (result.kind === 'fault')
    return {
      kind: 'failed',
      code: code ?? result.code,
      diagnosticEvents: [...events, { code: result.code, message: result.message, time, payload: tail(log) }],
    };
  const value = result.kind === 'value' ? { result: result.value } : {};
  return code === undefined
    ? { kind: 'succeeded', ...value }
    : { kind: 'failed', code, diagnosticEvents: events, ...value };
}

type Result =
  | { kind: 'none' }
  | { kind: 'value'; value: Json }
  | { kind: 'fault'; code: 'resultNotJson' | 'resultTooLarge' | 'resultNotReadable'; message: string };

function resultOfFile({ directory }: Remains): Result {
  let file: number | undefined;
  try {
    file = openRegular(join(directory, fileNames.result));
  } catch (error) {
    if (!(error instanceof NotReadableError)) throw error;
    return { kind: 'fault', code: 'resultNotReadable', message: `The result cannot be read: ${error.message}.` };
  }
  if (file === undefined) return { kind: 'none' };
  try {
    const { size } = fstatSync(file);
    return size > maximumPayloadBytes
      ? tooLarge('The result', size)
      : parseResult(readFileSync(file, 'utf8'), 'The result');
  } finally {
    closeSync(file);
  }
}

/**
 * The result in the output: the last line that is a JSON object or array, else the last line if it is any JSON. Without
 * output there is no result.
 */
function resultOfLog(output: string, except?: string): Result {
  const lines = output
    .split('\n')
    .flatMap((line) => (line.trim() === '' || (except !== undefined && line.includes(except)) ? [] : [line.trim()]));
  const last = lines.at(-1);
  if (last === undefined) return { kind: 'none' };
  for (const line of lines.reverse()) {
    if (!/^[[{]/.test(line)) continue;
    const parsed = parseResult(line, 'The last line of JSON in the output');
    if (parsed.kind === 'value' || parsed.code === 'resultTooLarge') return parsed;
  }
  return parseResult(last, 'The last line of the output');
}

function parseResult(text: string, what: string): Exclude<Result, { kind: 'none' }> {
  const bytes = Buffer.byteLength(text);
  if (bytes > maximumPayloadBytes) return tooLarge(what, bytes);
  try {
    return { kind: 'value', value: cleanJson(JSON.parse(text) as Json) };
  } catch (error) {
    return {
      kind: 'fault',
      code: 'resultNotJson',
      message: `${what} is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

function tooLarge(what: string, bytes: number): Result & { kind: 'fault' } {
  return {
    kind: 'fault',
    code: 'resultTooLarge',
    message: `${what} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.`,
  };
}

function timedOutEvent(
  stop: StopRecord & { reason: 'timedOut' },
  log: HandlerLog,
  time: number | undefined,
): DiagnosticEvent {
  const messages = {
    scheduled: `The handler was not started within scheduledSeconds = ${stop.seconds}.`,
    quiet: `The handler wrote no output and reported no progress for longer than quietSeconds = ${stop.seconds}.`,
    run: `The handler ran for longer than runSeconds = ${stop.seconds}.`,
  };
  return {
    code: `${stop.limit}Limit`,
    message: messages[stop.limit],
    ...(time !== undefined && { time }),
    payload: tail(log),
  };
}

function reported(progress: ProgressFile): readonly DiagnosticEvent[] {
  const events = progress.report?.progress.diagnosticEvents ?? [];
  return progress.fault === undefined ? events : [...events, progress.fault];
}

/** So little is left that not even an ending could be written there. */
function isDiskFull(directory: string): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < fewestFreeBytes;
}

/** At most ten lines, the last ones. */
function tail(log: HandlerLog): string[] {
  const lines = log.output.split('\n').map((line) => line.trimEnd());
  return lines
    .filter((line) => line !== '')
    .slice(-lastLines)
    .map((line) => line.slice(0, maximumLineCharacters).toWellFormed());
}

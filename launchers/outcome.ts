/** Decides what the end of a handler's program means: the rules are the same wherever it ran. */
import type { FailureCode } from '../agenda/failure.ts';
import { type DiagnosticEvent, type Json, maximumPayloadBytes } from '../agenda/types.ts';
import { cleanJson } from './clean-text.ts';
import type { Ending, HandlerLog } from './launcher.ts';
import type { Report } from './progress-report.ts';

const mostLines = 10;
const maximumLineCharacters = 2_000;

/** How a type's programs tell their end; fields of its registry entry. */
export interface EndSettings {
  readonly resultFrom: 'file' | 'lastLogLine';
  /** `pop1`: the ending is what the progress report says; the exit code is ignored. */
  readonly contract: 'pop2' | 'pop1';
  /** With `pop1`: a handler that came to its end prints this text. */
  readonly endOfLogIdentifier: string;
}

/** What a handler reported last, and why its newest report cannot be read. */
export interface Reported {
  readonly report?: Report | undefined;
  readonly fault?: DiagnosticEvent | undefined;
}

/** A program that came to an end of its own. */
export interface ProgramEnd {
  readonly settings: EndSettings;
  readonly exitCode?: number | undefined;
  /** The signal that killed it. */
  readonly signal?: string;
  /** Epoch milliseconds. */
  readonly time: number;
  readonly log: HandlerLog;
  /** Its standard output alone, where that is known: a result in the output is looked for there. */
  readonly standardOutput?: string;
  readonly reported: Reported;
  /** Reads the result where the type leaves it in a file. */
  readonly resultFile: () => Result;
}

/** What it means for the Operation. */
export type Outcome =
  | { kind: 'succeeded'; result?: Json }
  | { kind: 'failed'; code: FailureCode; diagnosticEvents: readonly DiagnosticEvent[]; result?: Json };

/** Decides by the rule of its contract. */
export function outcomeOf(end: ProgramEnd): Outcome {
  return end.settings.contract === 'pop1' ? outcomeOfReport(end) : outcomeOfExit(end);
}

function outcomeOfExit(end: ProgramEnd): Outcome {
  const { exitCode, signal, time, log, reported } = end;
  const { report } = reported;
  const events = [...reportedEvents(reported)];
  const isReported = report?.outcome === 'failed';
  if (isReported && events.length === 0)
    events.push({
      code: 'reportedFailure',
      message: report.progress.message ?? 'The handler reported a failure.',
      time,
    });
  const isFailed = isReported || exitCode !== 0;
  if (signal !== undefined) {
    events.push({ code: 'signal', message: `The handler was killed by ${signal}.`, time, payload: lastLines(log) });
  } else if (exitCode !== 0) {
    const message = `The handler ended with exit code ${exitCode}.`;
    events.push({ code: 'exitCode', message, time, payload: lastLines(log) });
  }
  const result = end.settings.resultFrom === 'file' ? end.resultFile() : resultOfLog(outputOf(end));
  const code = isReported ? 'reportedFailure' : signal !== undefined ? 'signal' : 'exitCode';
  return conclude(isFailed ? code : undefined, events, result, log, time);
}

/** POP's rule: the report decides; the exit code says nothing. */
function outcomeOfReport(end: ProgramEnd): Outcome {
  const { settings, time, log, reported } = end;
  const { report } = reported;
  const events = [...reportedEvents(reported)];
  const outcome = report?.outcome;
  let code: FailureCode | undefined = outcome === 'succeeded' ? undefined : 'reportedFailure';
  if (outcome === undefined) {
    code = 'noProgress';
    events.push({ code, message: 'No progress was reported.', time, payload: lastLines(log) });
  } else if (!log.output.includes(settings.endOfLogIdentifier)) {
    code ??= 'endOfLogMissing';
    const message = `The output does not end with "${settings.endOfLogIdentifier}".`;
    events.push({ code: 'endOfLogMissing', message, time, payload: lastLines(log) });
  }
  if (code !== undefined && events.length === 0)
    events.push({ code, message: 'The handler reported a failure.', time });
  const payload = report?.resultPayload;
  const fromElsewhere = () =>
    settings.resultFrom === 'file' ? end.resultFile() : resultOfLog(outputOf(end), settings.endOfLogIdentifier);
  const result = payload === undefined ? fromElsewhere() : parseResult(payload, 'The reported result');
  return conclude(code, events, result, log, time);
}

const outputOf = ({ standardOutput, log }: ProgramEnd): string => standardOutput ?? log.output;

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
      diagnosticEvents: [...events, { code: result.code, message: result.message, time, payload: lastLines(log) }],
    };
  const value = result.kind === 'value' ? { result: result.value } : {};
  return code === undefined
    ? { kind: 'succeeded', ...value }
    : { kind: 'failed', code, diagnosticEvents: events, ...value };
}

/** A result as it was found. */
export type Result =
  | { kind: 'none' }
  | { kind: 'value'; value: Json }
  | { kind: 'fault'; code: 'resultNotJson' | 'resultTooLarge' | 'resultNotReadable'; message: string };

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

/** The result of a JSON text; `what` begins the sentence of its fault. */
export function parseResult(text: string, what: string): Exclude<Result, { kind: 'none' }> {
  const bytes = Buffer.byteLength(text);
  if (bytes > maximumPayloadBytes) return resultTooLarge(what, bytes);
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

/** The fault of a result that is larger than any may be. */
export function resultTooLarge(what: string, bytes: number): Result & { kind: 'fault' } {
  return {
    kind: 'fault',
    code: 'resultTooLarge',
    message: `${what} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.`,
  };
}

/** What it reported of itself; a report that cannot be read is told with it. */
export function reportedEvents({ report, fault }: Reported): readonly DiagnosticEvent[] {
  const events = report?.progress.diagnosticEvents ?? [];
  return fault === undefined ? events : [...events, fault];
}

/** What is told of a limit that was broken; `time` in epoch milliseconds. */
export function limitEvent(
  limit: 'scheduled' | 'quiet' | 'run',
  seconds: number,
  log: HandlerLog,
  time: number | undefined,
): DiagnosticEvent {
  const messages = {
    scheduled: `The handler was not started within scheduledSeconds = ${seconds}.`,
    quiet: `The handler wrote no output and reported no progress for longer than quietSeconds = ${seconds}.`,
    run: `The handler ran for longer than runSeconds = ${seconds}.`,
  };
  const payload = lastLines(log);
  return { code: `${limit}Limit`, message: messages[limit], ...(time !== undefined && { time }), payload };
}

/** At most ten lines of the output, the last ones. */
export function lastLines(log: HandlerLog): string[] {
  const lines = log.output.split('\n').map((line) => line.trimEnd());
  return lines
    .filter((line) => line !== '')
    .slice(-mostLines)
    .map((line) => line.slice(0, maximumLineCharacters).toWellFormed());
}

/** A launch that failed just now, without a program that could say why. */
export function failedWith(code: FailureCode, message: string): Ending {
  const time = Date.now();
  return { kind: 'failed', code, diagnosticEvents: [{ code, message, time }], endedTime: time };
}

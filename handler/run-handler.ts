/**
 * The life of a handler: read what is asked, do it, report, hand over the result, exit.
 * Exit code 0 is success and 1 a failure. A handler that was asked to end, and throws then, exits with 143 and reports
 * no end: it has neither done its work nor failed at it, and whoever asked says what becomes of the Operation.
 */
import { readFields } from './fields.ts';
import { contextOf, type Handler } from './handler-context.ts';
import { diagnosticOf } from './handler-failure.ts';
import { chooseOutlet, type ReportBy } from './outlets/choose-outlet.ts';
import { LogOutlet } from './outlets/log-outlet.ts';
import { EndNotDelivered, type Outlet, ResultTooLarge } from './outlets/outlet.ts';
import { resultFileOf } from './outlets/result-file.ts';
import type { PayloadParser, StandardSchema } from './payload-schema.ts';
import { Reporter } from './reporter.ts';
import type { Json } from './types.ts';

/** A handler with what is said of it beside the function. */
export interface HandlerOptions<Payload = Json> {
  /** Checks the payload first: a schema of zod, valibot, arktype …, or a function. */
  readonly payload?: StandardSchema<Payload> | PayloadParser<Payload>;
  readonly run: Handler<Payload>;
  /** How to report; when not given, what the launch says. */
  readonly report?: ReportBy | Outlet;
  /** Longest time that the report of the end is tried again; 120 when not given. */
  readonly endSeconds?: number;
}

/** The reason of a handler's signal: why it is asked to end. */
export class HandlerStopped extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'HandlerStopped';
  }
}

/** As a shell says that a program was ended by SIGTERM. */
const stoppedCode = 143;
/** Time for the last progress of a handler that was asked to end; SIGKILL is near. */
const lastReportMilliseconds = 5_000;

/**
 * Runs the handler and ends the process: 0 with the returned value as result, or 1 with what was thrown as diagnostics.
 */
export async function runHandler<Payload = Json>(handler: Handler | HandlerOptions<Payload>): Promise<never> {
  // The payload of a bare function is any JSON.
  const options = (typeof handler === 'function' ? { run: handler } : handler) as HandlerOptions<Payload>;
  const { run, payload: schema = (payload: Json) => payload as Payload, report: asked, endSeconds = 120 } = options;
  const { env: environment, argv } = process;
  const stopping = stoppingBySignals();
  const { signal } = stopping;
  // Until it is known how to report.
  let reporter = new Reporter(new LogOutlet(resultFileOf(environment)));
  const endAsFailed = async (thrown: unknown): Promise<never> => {
    console.error(thrown);
    return process.exit(await endOfFailure(reporter, signal, thrown));
  };
  // An error that escapes from a callback fails the Operation, like an error of the handler itself.
  process.on('uncaughtException', (error) => void endAsFailed(error));
  try {
    const fields = readFields(argv.slice(2), environment);
    const outlet = await chooseOutlet({ fields, environment, asked, endSeconds });
    reporter = new Reporter(outlet, (reason) => stopping.abort(new HandlerStopped(reason)));
    const parts = { fields, signal, report: reporter.report, log: (message: string) => console.log(message) };
    const result = await run(await contextOf(parts, schema));
    // Anything that the handler left open must not keep the Operation running.
    return process.exit(await endOfSuccess(reporter, signal, result ?? undefined));
  } catch (error) {
    return endAsFailed(error);
  }
}

function stoppingBySignals(): AbortController {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => stopping.abort(new HandlerStopped(`The handler was asked to end by ${signal}.`)));
  }
  return stopping;
}

/** Hands over the result. The exit code. @throws when it cannot be handed over, which is a failure then */
async function endOfSuccess(reporter: Reporter, signal: AbortSignal, result: Json | undefined): Promise<number> {
  const reported = reporter.reportedEnd;
  if (reported === undefined && signal.aborted && result === undefined) {
    await reporter.release(lastReportMilliseconds);
    return stoppedCode;
  }
  await reporter.end({ outcome: 'succeeded', ...(result !== undefined && { result }) });
  return reported?.outcome === 'failed' ? 1 : 0;
}

/** Tells of what was thrown. The exit code. */
async function endOfFailure(reporter: Reporter, signal: AbortSignal, thrown: unknown): Promise<number> {
  // Nobody takes a report; the exit code and the last lines of the output are what is left.
  if (thrown instanceof EndNotDelivered) return 1;
  if (thrown instanceof ResultTooLarge) reporter.retract();
  const isAskedToEnd = signal.aborted && reporter.reportedEnd === undefined;
  if (reporter.reportedEnd === undefined && !(isAskedToEnd && isOfStopping(thrown, signal)))
    reporter.report({ diagnosticEvents: [diagnosticOf(thrown)] });
  if (isAskedToEnd) {
    await reporter.release(lastReportMilliseconds);
    return stoppedCode;
  }
  const outcome = reporter.reportedEnd?.outcome ?? 'failed';
  try {
    await reporter.end({ outcome });
  } catch (error) {
    console.error(error);
    return 1;
  }
  return outcome === 'succeeded' ? 0 : 1;
}

/** The signal's own reason, or what an operation throws that was given the signal. */
function isOfStopping(thrown: unknown, { reason }: AbortSignal): boolean {
  return thrown === reason || (thrown instanceof Error && (thrown.name === 'AbortError' || thrown.cause === reason));
}

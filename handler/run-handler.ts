/** The life of a handler: read what is asked, do it, report, hand over the result, exit with 0 or 1. */

import { diagnosticOf, fail } from './handler-failure.ts';
import { type OperationFacts, readFacts, readLastProgress, readPayload } from './inputs.ts';
import { type ProgressReport, Reporter, writeResult } from './reporter.ts';
import type { Json, JsonObject } from './types.ts';

/** The argument of a handler: its input, and the ways to report. */
export interface HandlerContext {
  /** References are resolved already; null when the Operation has none. */
  readonly payload: Json;
  /** The OperationProgress of the attempt before: its `params` are what that attempt reported last. */
  readonly lastProgress?: JsonObject;
  readonly operation: OperationFacts;
  /** Aborts when the handler is asked to end (SIGTERM): tidy up and return soon. */
  readonly signal: AbortSignal;
  report(progress: ProgressReport): void;
  /** A line of the Operation's log. */
  log(message: string): void;
}

/** A handler: its return value is the result of the Operation, and an error that it throws fails the Operation. */
export type Handler = (context: HandlerContext) => Promise<Json | undefined> | Promise<void>;

/**
 * Runs the handler and ends the process: 0 with the returned value as result, or 1 with what was thrown as diagnostics.
 */
export async function runHandler(handler: Handler): Promise<never> {
  const { env: environment, argv } = process;
  const parameters = argv.slice(2);
  const reporter = new Reporter(environment.POP_PROGRESS_FILE || undefined);
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => ending.abort(new Error(`The handler was asked to end by ${signal}.`)));
  }
  const endAsFailed = (thrown: unknown): never => {
    console.error(thrown);
    reporter.fail(diagnosticOf(thrown));
    return process.exit(1);
  };
  // An error that escapes from a callback fails the Operation, like an error of the handler itself.
  process.on('uncaughtException', endAsFailed);
  try {
    const lastProgress = read('last progress', () => readLastProgress(parameters, environment));
    const context: HandlerContext = {
      payload: read('payload', () => readPayload(parameters, environment)),
      ...(lastProgress !== undefined && { lastProgress }),
      operation: readFacts(environment),
      signal: ending.signal,
      report: (progress) => reporter.report(progress),
      log: (message) => console.log(message),
    };
    const result = (await handler(context)) ?? undefined;
    if (result !== undefined) writeResult(environment.POP_RESULT_FILE || undefined, result);
    reporter.succeed();
    // Anything that the handler left open must not keep the Operation running.
    return process.exit(0);
  } catch (error) {
    return endAsFailed(error);
  }
}

function read<T>(what: string, from: () => T): T {
  try {
    return from();
  } catch (error) {
    fail(`The ${what} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      code: 'invalidInput',
      cause: error,
    });
  }
}

/** What a handler is called with. */
import type { ExternalEnd, ExternalTool } from './external/external-tool.ts';
import type { Fields } from './fields.ts';
import { fail } from './handler-failure.ts';
import { type OperationFacts, readFacts, readLastProgress, readPayload } from './inputs.ts';
import { intermediatePath, type PathTokens } from './intermediate-path.ts';
import { checkPayload, type PayloadParser, type StandardSchema } from './payload-schema.ts';
import type { Report } from './progress.ts';
import { type RetryOptions, retry } from './retry.ts';
import type { Json, JsonObject } from './types.ts';

/** The argument of a handler: its input, and the ways to report. */
export interface HandlerContext<Payload = Json> {
  /** References are resolved already; null when the Operation has none. */
  readonly payload: Payload;
  /** The OperationProgress of the attempt before: its `params` are what that attempt reported last. */
  readonly lastProgress?: JsonObject;
  readonly operation: OperationFacts;
  /** Arguments, environment and properties. */
  readonly fields: Fields;
  /** Aborts when the handler is asked to end: tidy up and return soon. */
  readonly signal: AbortSignal;
  readonly report: Report;
  /** A line of the Operation's log. */
  log(message: string): void;
  /** Tries again what may fail for a while; ends with the handler's signal. */
  retry<T>(action: (attempt: number) => Promise<T> | T, options?: RetryOptions): Promise<T>;
  /** A folder on a share for what later Operations need. */
  intermediatePath(tokens?: PathTokens): string;
  /** Runs a tool as a Pod, a container or a process, and follows its output; its failure is thrown. */
  runExternal(tool: ExternalTool): Promise<ExternalEnd>;
}

/** A handler: its return value is the result of the Operation, and an error that it throws fails the Operation. */
export type Handler<Payload = Json> = (context: HandlerContext<Payload>) => Promise<Json | undefined> | Promise<void>;

/** What a context is made of. */
export interface ContextParts {
  readonly fields: Fields;
  readonly signal: AbortSignal;
  readonly report: Report;
  readonly log: (message: string) => void;
}

/** Reads the input and puts the context together. Fails when the input cannot be read or the payload is not valid. */
export async function contextOf<Payload>(
  { fields, signal, report, log }: ContextParts,
  schema: StandardSchema<Payload> | PayloadParser<Payload>,
): Promise<HandlerContext<Payload>> {
  const lastProgress = read('last progress', () => readLastProgress(fields));
  const payload = read('payload', () => readPayload(fields));
  const operation = read('facts of the Operation', () => readFacts(fields));
  return {
    payload: await checkPayload(payload, schema),
    ...(lastProgress !== undefined && { lastProgress }),
    operation,
    fields,
    signal,
    report,
    log,
    retry: (action, options) => retry(action, { signal, ...options }),
    intermediatePath: (tokens) => intermediatePath(fields, operation, tokens),
    // Loaded when it is needed: most handlers run no tool, and each of them is a process that starts.
    runExternal: async (tool) =>
      (await import('./external/run-external.ts')).runExternal(tool, { fields, operation, signal, log }),
  };
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

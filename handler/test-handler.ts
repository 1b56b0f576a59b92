/** Calls a handler in a test, without a process of its own. */
import { readFields } from './fields.ts';
import { contextOf, type Handler } from './handler-context.ts';
import { type ProgressReport, type Report, reportOf } from './progress.ts';
import type { HandlerOptions } from './run-handler.ts';
import type { Json, JsonObject } from './types.ts';

/** What the handler of a test is given. */
export interface TestInput {
  readonly payload?: Json;
  readonly lastProgress?: JsonObject;
  /** Variables beside the payload; the test's own environment is not seen. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly arguments?: readonly string[];
  readonly signal?: AbortSignal;
}

/** What the handler of a test said. */
export interface TestOutput {
  readonly result: Json | undefined;
  readonly reports: readonly ProgressReport[];
  readonly lines: readonly string[];
}

/** Runs the handler with this input. @throws what it throws; `fail` throws a HandlerFailure */
export async function testHandler<Payload = Json>(
  handler: Handler | HandlerOptions<Payload>,
  input: TestInput = {},
): Promise<TestOutput> {
  const options = (typeof handler === 'function' ? { run: handler } : handler) as HandlerOptions<Payload>;
  const reports: ProgressReport[] = [];
  const lines: string[] = [];
  const report: Report = (first: ProgressReport | number | string, second?: number | string) => {
    reports.push(reportOf(first, second));
    return true;
  };
  const environment = {
    PAYLOAD: JSON.stringify(input.payload ?? null),
    ...(input.lastProgress !== undefined && { LAST_PROGRESS: JSON.stringify(input.lastProgress) }),
    ...input.environment,
  };
  const context = await contextOf(
    {
      fields: readFields(input.arguments ?? [], environment),
      signal: input.signal ?? new AbortController().signal,
      report,
      log: (line) => void lines.push(line),
    },
    options.payload ?? ((payload: Json) => payload as Payload),
  );
  return { result: (await options.run(context)) ?? undefined, reports, lines };
}

/**
 * What a handler author uses: `runHandler(async ({ payload, report, log, signal }) => result)`. Plain Node, no
 * dependency.
 */

export { type FailureDetails, fail, HandlerFailure } from './handler-failure.ts';
export type { OperationFacts } from './inputs.ts';
export type { ProgressReport } from './reporter.ts';
export { openOwnSource, openOwnTarget, openSource, openTarget, type Source, type Target } from './roots.ts';
export { type Handler, type HandlerContext, runHandler } from './run-handler.ts';
export type { DiagnosticEvent, Json, JsonObject } from './types.ts';

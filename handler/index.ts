/**
 * What a handler author uses: `runHandler(async ({ payload, report, log, signal }) => result)`. Plain Node, no
 * dependency.
 */

export { type AllowedCommand, allowedCommands, isAllowed } from './allowed-commands.ts';
export { externalLaunch } from './external/choose-launch.ts';
export type {
  ContainerWishes,
  ExternalEnd,
  ExternalLaunch,
  ExternalTool,
  PodWishes,
  ToolResources,
} from './external/external-tool.ts';
export type { Fields } from './fields.ts';
export type { Handler, HandlerContext } from './handler-context.ts';
export { type FailureDetails, fail, HandlerFailure } from './handler-failure.ts';
export type { OperationFacts } from './inputs.ts';
export type { PathTokens } from './intermediate-path.ts';
export type { ReportBy } from './outlets/choose-outlet.ts';
export type { Outlet, Wish } from './outlets/outlet.ts';
export type { PayloadParser, StandardIssue, StandardResult, StandardSchema } from './payload-schema.ts';
export type { HandlerEnd, ProcessingState, Progress, ProgressReport, Report } from './progress.ts';
export { type ErrorClass, type RetryOptions, retry } from './retry.ts';
export { openOwnSource, openOwnTarget, openSource, openTarget, type Source, type Target } from './roots.ts';
export { type HandlerOptions, HandlerStopped, runHandler } from './run-handler.ts';
export { type TestInput, type TestOutput, testHandler } from './test-handler.ts';
export type { DiagnosticEvent, Json, JsonObject } from './types.ts';

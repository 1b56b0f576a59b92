/** Schemas of the ResourcePool service: what the api takes of it. Types and limits are those of messages/. */
import { z } from '@hono/zod-openapi';
import { type Json, maximumNameLength } from '../../agenda/types.ts';
import {
  latestTime,
  mostAgendaIdCharacters,
  mostCodeCharacters,
  mostDiagnosticEvents,
  mostDigestCharacters,
  mostEventCharacters,
  mostItems,
  mostLauncherCharacters,
  mostLaunchers,
  mostMessageCharacters,
  mostOfEachResource,
  mostOrdinal,
  mostPlaceCharacters,
  mostProblemCharacters,
  mostProgressItems,
  mostTypes,
  mostVerdictCharacters,
  mostVerdicts,
  mostVersionCharacters,
  mostWorkerCharacters,
} from '../../messages/limits.ts';
import type {
  FinishOperationItem,
  ReportedEvent,
  ReportProgressItem,
  StartOperationItem,
  TypeNeeds,
  WorkerReport,
} from '../../messages/resource-pool.ts';

const text = (most: number) => z.string().max(most);
/**
 * What was parsed is JSON; the numbers in it were looked at when it was read. Zod's own schema of it makes many issues
 * of one wrong value.
 */
const anyJson = z.custom<Json>().openapi({ type: ['object', 'array', 'string', 'number', 'boolean', 'null'] });
const epochMilliseconds = z.number().int().nonnegative().max(latestTime);
/** Attempts and launches. */
const ordinal = z.number().int().positive().max(mostOrdinal);

const diagnosticEventSchema = z
  .strictObject({
    message: text(mostEventCharacters),
    statusCode: z.number().optional(),
    code: text(mostCodeCharacters).optional(),
    time: epochMilliseconds.optional(),
    stackTrace: text(mostEventCharacters).optional(),
    payload: anyJson.optional(),
  })
  .openapi('DiagnosticEvent') satisfies z.ZodType<ReportedEvent>;

const fence = {
  agendaId: text(mostAgendaIdCharacters),
  attempt: ordinal,
  operation: text(maximumNameLength),
  operationAttempt: ordinal,
  launch: ordinal,
};

const diagnosticEvents = z.array(diagnosticEventSchema).max(mostDiagnosticEvents);

const amount = z.number().min(0).max(mostOfEachResource);

/** What one run of a type takes of its pool. */
export const typeNeedsSchema = z
  .strictObject({
    slots: amount.int().optional(),
    cpu: amount.optional().openapi({ description: 'Cores.', example: 0.5 }),
    memory: z.number().min(0).max(Number.MAX_SAFE_INTEGER).optional().openapi({ description: 'Bytes.' }),
    gpu: amount.optional().openapi({ description: 'Devices.' }),
  })
  .openapi('TypeNeeds') satisfies z.ZodType<Partial<Record<keyof TypeNeeds, number | undefined>>>;

/** Body of `reportWorker`: a pool worker of itself. */
export const reportWorkerSchema = z.strictObject({
  worker: text(mostWorkerCharacters).min(1),
  version: text(mostVersionCharacters),
  slots: ordinal,
  startedTime: epochMilliseconds,
  registryDigest: text(mostDigestCharacters).min(1),
  types: z
    .record(text(maximumNameLength), typeNeedsSchema)
    .refine((types) => Object.keys(types).length <= mostTypes, `at most ${mostTypes} types`),
  registryProblem: text(mostProblemCharacters).optional(),
  leaving: z.boolean().optional(),
}) satisfies z.ZodType<Omit<WorkerReport, 'types'>>;

/** Body of `startOperation`: launches that are about to begin. */
export const startOperationSchema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        agendaId: fence.agendaId,
        attempt: ordinal,
        operation: fence.operation,
        type: text(maximumNameLength).optional(),
        launcher: text(mostLauncherCharacters).optional(),
        launchers: z.record(text(maximumNameLength), text(mostLauncherCharacters)).optional(),
        place: text(mostPlaceCharacters),
        places: z
          .record(text(mostLauncherCharacters), text(mostPlaceCharacters))
          .refine((places) => Object.keys(places).length <= mostLaunchers, `at most ${mostLaunchers} launchers`)
          .optional(),
        worker: text(mostWorkerCharacters),
        lostLaunch: ordinal.optional(),
        understands: z.array(text(mostVerdictCharacters)).max(mostVerdicts).optional(),
        scheduledTime: epochMilliseconds.optional(),
        pulledTime: epochMilliseconds.optional(),
      }) satisfies z.ZodType<StartOperationItem>,
    )
    .min(1)
    .max(mostItems),
});

/** Body of `reportProgress`: how far running launches are. */
export const reportProgressSchema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        ...fence,
        worker: text(mostWorkerCharacters).optional(),
        orphan: z.boolean().optional(),
        startedTime: epochMilliseconds.optional(),
        blocked: z.strictObject({ reason: text(mostMessageCharacters) }).optional(),
        message: text(mostMessageCharacters).optional(),
        percentComplete: z.number().min(0).max(100).optional(),
        diagnosticEvents: diagnosticEvents.optional(),
        params: z.record(z.string(), anyJson).optional(),
      }) satisfies z.ZodType<ReportProgressItem>,
    )
    .min(1)
    .max(mostProgressItems),
});

/** Body of `finishOperation`: launches that ended, and how. */
export const finishOperationSchema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        ...fence,
        outcome: z.enum(['succeeded', 'failed', 'cancelled']),
        ending: z.enum(['succeeded', 'failed', 'timedOut', 'lost', 'cancelled']).optional(),
        // A word of a later version is taken, too.
        category: text(mostCodeCharacters).optional(),
        code: text(mostCodeCharacters).optional(),
        result: z.string().optional(),
        diagnosticEvents: diagnosticEvents.optional(),
        params: z.record(z.string(), anyJson).optional(),
        log: z.strictObject({ output: z.string(), totalBytes: z.number().int().nonnegative() }).optional(),
        startedTime: epochMilliseconds.optional(),
        endedTime: epochMilliseconds.optional(),
        noticedTime: epochMilliseconds.optional(),
      }) satisfies z.ZodType<FinishOperationItem>,
    )
    .min(1)
    .max(mostItems),
});

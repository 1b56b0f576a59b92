/** What a pool worker and the api say to each other. Schemas are checked by the api; the pool imports the types only. */
import { z } from '@hono/zod-openapi';

const text = (most: number) => z.string().max(most);
/** What was parsed is JSON; the numbers in it were looked at when it was read. Zod's own schema of it makes many issues of one wrong value. */
const anyJson = z.unknown().openapi({ type: ['object', 'array', 'string', 'number', 'boolean', 'null'] });
const epochMilliseconds = z.number().int().nonnegative().max(253_402_300_799_999);
/** Attempts and launches, as wide as their columns. */
const ordinal = z.number().int().positive().max(2_147_483_647);

export const diagnosticEventSchema = z
  .strictObject({
    message: text(65_536),
    statusCode: z.number().optional(),
    code: text(200).optional(),
    time: epochMilliseconds.optional(),
    stackTrace: text(65_536).optional(),
    payload: anyJson.optional(),
  })
  .openapi('DiagnosticEvent');

/** The five that fence a report. */
const fence = {
  agendaId: text(200),
  attempt: ordinal,
  /** The Operation's name. */
  operation: text(128),
  operationAttempt: ordinal,
  launch: ordinal,
};
export const fenceSchema = z.strictObject(fence);

export const startOperationSchema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        agendaId: text(200),
        attempt: ordinal,
        operation: text(128),
        /** Where this worker launches; the current launch is adopted when it lives there, else a new one begins. */
        place: text(1_000),
        worker: text(500),
        /** The launch this worker knows to be lost. */
        lostLaunch: ordinal.optional(),
        scheduledTime: epochMilliseconds.optional(),
        pulledTime: epochMilliseconds.optional(),
      }),
    )
    .min(1)
    .max(500),
});

export const reportProgressSchema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        ...fence,
        worker: text(500).optional(),
        /** Nobody at the worker follows this run: it asks whether the run is still wanted, which is no sign of life. */
        orphan: z.boolean().optional(),
        startedTime: epochMilliseconds.optional(),
        message: text(4_096).optional(),
        percentComplete: z.number().min(0).max(100).optional(),
        diagnosticEvents: z.array(diagnosticEventSchema).max(1_000).optional(),
        params: z.record(z.string(), anyJson).optional(),
      }),
    )
    .min(1)
    .max(2_000),
});

export const finishOperationSchema = z.strictObject({
  items: z
    .array(
      z.strictObject({
        ...fence,
        outcome: z.enum(['succeeded', 'failed', 'cancelled']),
        /** JSON text of the result. */
        result: z.string().optional(),
        diagnosticEvents: z.array(diagnosticEventSchema).max(1_000).optional(),
        params: z.record(z.string(), anyJson).optional(),
        log: z.strictObject({ output: z.string(), totalBytes: z.number().int().nonnegative() }).optional(),
        startedTime: epochMilliseconds.optional(),
        endedTime: epochMilliseconds.optional(),
        noticedTime: epochMilliseconds.optional(),
      }),
    )
    .min(1)
    .max(500),
});

export type Fence = z.infer<typeof fenceSchema>;
export type StartOperationItem = z.infer<typeof startOperationSchema>['items'][number];
export type ReportProgressItem = z.infer<typeof reportProgressSchema>['items'][number];
export type FinishOperationItem = z.infer<typeof finishOperationSchema>['items'][number];

/** One per item, in the same order. */
export type StartVerdict =
  | {
      readonly verdict: 'run';
      readonly operationAttempt: number;
      readonly launch: number;
      readonly type: string;
      readonly cid: string;
      readonly customerId: string;
      readonly operationId: string;
      readonly progressId: string;
      /** Resolved payload, JSON text (`null` when the Operation has none). */
      readonly payload: string;
      readonly lastProgress?: string;
      readonly timeout?: { scheduledSeconds?: number; quietSeconds?: number; runSeconds?: number };
    }
  /** It has ended already (or could not begin, such as with an invalid reference): nothing is launched. */
  | { readonly verdict: 'ended'; readonly outcome: string }
  /** Cancel was asked for: nothing is launched; what runs is to be stopped. */
  | { readonly verdict: 'cancelled' }
  /** This attempt is not the current one, or the Agenda is over or unknown to this pool. */
  | { readonly verdict: 'over' };

export type ProgressVerdict =
  | { readonly verdict: 'ok' }
  | { readonly verdict: 'cancelled' }
  /** Another launch took its place, it has ended, or the Agenda is over: stop the run and forget it. */
  | { readonly verdict: 'over' };

export type FinishVerdict =
  /** Recorded now, or by an earlier send of the same report. */
  | { readonly verdict: 'stored'; readonly outcome: string }
  /** Refused: not the current launch, or over. Changes nothing. */
  | { readonly verdict: 'over'; readonly outcome?: string }
  /** The report itself was not acceptable (result too large, not JSON): the Operation was recorded as failed with this message. */
  | { readonly verdict: 'refused'; readonly code: string; readonly message: string };

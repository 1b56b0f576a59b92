/**
 * The record. Times are the database's own (`clock_timestamp()`), user JSON is kept as `json` or JSON text so that it
 * comes back as it was sent. Waiting is a row in `ready_agenda`, holding capacity is a row in `running_agenda`:
 * what runs is counted from rows, never kept in a counter.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  doublePrecision,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { DiagnosticEvent, JsonObject, OperationTimeout, ProcessingState } from '../agenda/types.ts';

const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });
const now = sql`clock_timestamp()`;

/** What every data object has. */
const base = {
  id: text('id').primaryKey(),
  cid: text('cid').notNull(),
  customerId: text('customer_id').notNull(),
  addedTime: time('added_time').notNull().default(now),
  updatedTime: time('updated_time').notNull().default(now),
};

export const resourcePool = pgTable(
  'resource_pool',
  {
    ...base,
    title: text('title'),
    /** `{ slots }`: Agendas that may hold this pool at once; null = unlimited. */
    capacity: json('capacity').$type<{ slots?: number }>(),
  },
  (t) => [index('resource_pool_by_customer').on(t.customerId, t.id)],
);

export const customer = pgTable(
  'customer',
  {
    ...base,
    title: text('title').notNull(),
    billingCode: text('billing_code'),
    resourcePoolId: text('resource_pool_id'),
  },
  (t) => [index('customer_by_customer').on(t.customerId, t.id), index('customer_by_pool').on(t.resourcePoolId)],
);

export const insight = pgTable(
  'insight',
  {
    ...base,
    title: text('title').notNull(),
    resourcePoolId: text('resource_pool_id').notNull(),
    queueName: text('queue_name'),
    /** Most Agendas admitted that no pool worker has started yet; 0 = paused. */
    queueSize: integer('queue_size').notNull().default(100),
    schedulingAlgorithm: text('scheduling_algorithm').notNull().default('FirstInFirstOut'),
    /** Most Agendas holding capacity through this Insight; null = unlimited. */
    maximumRunning: integer('maximum_running'),
    mappers: json('mappers').$type<Record<string, string[]>>().notNull().default({}),
    isGlobal: boolean('is_global').notNull().default(false),
    /** Lower-cased and sorted. */
    allowedCustomerIds: text('allowed_customer_ids').array().notNull().default([]),
    /** Among several Insights that match, the smallest goes first; then the oldest. */
    order: integer('order').notNull().default(0),
  },
  (t) => [index('insight_by_pool').on(t.resourcePoolId, t.order, t.addedTime), index('insight_by_customer').on(t.customerId, t.id)],
);

/** One row per Insight, apart from its settings so that a wake never waits for an edit. */
export const insightWake = pgTable('insight_wake', {
  insightId: text('insight_id').primaryKey(),
  wakePending: boolean('wake_pending').notNull().default(false),
  lastTickTime: time('last_tick_time'),
  /** Sweeps that found work for this Insight and no tick since the one before. */
  missedSweeps: integer('missed_sweeps').notNull().default(0),
});

export const agenda = pgTable(
  'agenda',
  {
    ...base,
    title: text('title'),
    linkId: text('link_id'),
    progressId: text('progress_id').notNull(),
    params: json('params').$type<JsonObject>().notNull().default({}),
    parallelism: integer('parallelism'),
    insightId: text('insight_id').notNull(),
    resourcePoolId: text('resource_pool_id').notNull(),
    /** 1 for the first execution; a rerun is the next. */
    attempt: integer('attempt').notNull().default(1),
    cancelRequestedTime: time('cancel_requested_time'),
  },
  (t) => [
    index('agenda_by_customer').on(t.customerId, t.id),
    index('agenda_by_link').on(t.linkId, t.id),
    index('agenda_by_insight').on(t.insightId, t.id),
  ],
);

export const operation = pgTable(
  'operation',
  {
    agendaId: text('agenda_id').notNull(),
    /** Position in the submitted list. */
    index: integer('index').notNull(),
    name: text('name').notNull(),
    type: text('type').notNull(),
    /** The submitter's own `id`, handed to the handler as OPERATION_ID. */
    givenId: text('given_id'),
    /** JSON text; null = none. */
    payload: text('payload'),
    params: json('params').$type<JsonObject>(),
    /** `dependsOn` as submitted. */
    dependsOn: text('depends_on').array(),
    /** Indexes of the Operations it waits for: references and dependsOn together. */
    dependencies: integer('dependencies').array().notNull().default([]),
    weight: doublePrecision('weight').notNull().default(1),
    timeout: json('timeout').$type<OperationTimeout>(),
  },
  (t) => [primaryKey({ columns: [t.agendaId, t.index] }), uniqueIndex('operation_by_name').on(t.agendaId, t.name)],
);

export const agendaProgress = pgTable(
  'agenda_progress',
  {
    ...base,
    agendaId: text('agenda_id').notNull(),
    linkId: text('link_id'),
    externalId: text('external_id'),
    title: text('title'),
    processingState: text('processing_state').$type<ProcessingState>().notNull().default('WAITING'),
    processingStateMessage: text('processing_state_message').notNull().default('pending'),
    percentComplete: doublePrecision('percent_complete').notNull().default(0),
    diagnosticEvents: json('diagnostic_events').$type<DiagnosticEvent[]>(),
    params: json('params').$type<JsonObject>(),
    attemptsCompleted: integer('attempts_completed').notNull().default(0),
    maximumAttempts: integer('maximum_attempts').notNull().default(3),
    /** Kept from running_agenda when the attempt ends; while it runs it is there. */
    admittedTime: time('admitted_time'),
    startedTime: time('started_time'),
    completedTime: time('completed_time'),
  },
  (t) => [
    uniqueIndex('agenda_progress_by_agenda').on(t.agendaId),
    index('agenda_progress_by_customer').on(t.customerId, t.id),
    index('agenda_progress_by_link').on(t.linkId, t.id),
  ],
);

/** State of one Operation, and the fence: a report counts only with the current attempt, operation attempt and launch. */
export const operationProgress = pgTable(
  'operation_progress',
  {
    agendaId: text('agenda_id').notNull(),
    index: integer('index').notNull(),
    /** `<agendaProgressId>-<operation>` */
    id: text('id').notNull(),
    agendaProgressId: text('agenda_progress_id').notNull(),
    customerId: text('customer_id').notNull(),
    cid: text('cid').notNull(),
    /** The Operation's name. */
    operation: text('operation').notNull(),
    processingState: text('processing_state').$type<ProcessingState>().notNull().default('WAITING'),
    processingStateMessage: text('processing_state_message').notNull().default('pending'),
    percentComplete: doublePrecision('percent_complete').notNull().default(0),
    /** JSON text. */
    resultPayload: text('result_payload'),
    diagnosticEvents: json('diagnostic_events').$type<DiagnosticEvent[]>(),
    /** The handler's own resume data. */
    params: json('params').$type<JsonObject>(),
    /** The operation attempt: executions of the handler that count; 0 until first started. */
    attemptCount: integer('attempt_count').notNull().default(0),
    attemptTime: time('attempt_time'),
    /** Raised when an earlier launch was lost or cannot be reached; 0 until first started. */
    launch: integer('launch').notNull().default(0),
    /** Where the current launch lives, such as `local:<host>:<directory>`; only a worker there can adopt it. */
    place: text('place'),
    /** The pool worker that last spoke for it. */
    worker: text('worker'),
    scheduledTime: time('scheduled_time'),
    pulledTime: time('pulled_time'),
    startedTime: time('started_time'),
    endedTime: time('ended_time'),
    noticedTime: time('noticed_time'),
    completedTime: time('completed_time'),
    addedTime: time('added_time').notNull().default(now),
    updatedTime: time('updated_time').notNull().default(now),
  },
  (t) => [
    primaryKey({ columns: [t.agendaId, t.index] }),
    uniqueIndex('operation_progress_by_id').on(t.id),
    uniqueIndex('operation_progress_by_operation').on(t.agendaProgressId, t.operation),
    index('operation_progress_by_customer').on(t.customerId, t.id),
  ],
);

/** Output of one launch of one Operation, cut at the cap. */
export const operationLog = pgTable(
  'operation_log',
  {
    agendaId: text('agenda_id').notNull(),
    index: integer('index').notNull(),
    attempt: integer('attempt').notNull(),
    launch: integer('launch').notNull(),
    output: text('output').notNull(),
    /** Bytes the handler wrote in all; more than `output` holds when it was cut. */
    totalBytes: bigint('total_bytes', { mode: 'number' }).notNull(),
    addedTime: time('added_time').notNull().default(now),
  },
  (t) => [primaryKey({ columns: [t.agendaId, t.index, t.attempt, t.launch] })],
);

/** A waiting entry: an Agenda that may be admitted. */
export const readyAgenda = pgTable(
  'ready_agenda',
  {
    agendaId: text('agenda_id').primaryKey(),
    insightId: text('insight_id').notNull(),
    resourcePoolId: text('resource_pool_id').notNull(),
    customerId: text('customer_id').notNull(),
    attempt: integer('attempt').notNull(),
    readyTime: time('ready_time').notNull().default(now),
    /** Breaks ties of ready time. */
    number: bigserial('number', { mode: 'number' }).notNull(),
  },
  (t) => [index('ready_agenda_in_order').on(t.insightId, t.readyTime, t.number)],
);

/** An Agenda that holds capacity, from admission to its end. The primary key is the promise of one running attempt. */
export const runningAgenda = pgTable(
  'running_agenda',
  {
    agendaId: text('agenda_id').primaryKey(),
    insightId: text('insight_id').notNull(),
    resourcePoolId: text('resource_pool_id').notNull(),
    customerId: text('customer_id').notNull(),
    attempt: integer('attempt').notNull(),
    batchId: text('batch_id').notNull(),
    admittedTime: time('admitted_time').notNull().default(now),
    /** Its workflow was started. */
    startedTime: time('started_time'),
    /** Its first Operation was started: it left the queue. */
    leftQueueTime: time('left_queue_time'),
    /** The workflow run that claimed this attempt. */
    runId: text('run_id'),
    /** Last sign of life: a claim, an Operation's start, progress or end. */
    seenTime: time('seen_time').notNull().default(now),
  },
  (t) => [
    index('running_agenda_by_insight').on(t.insightId),
    index('running_agenda_by_pool').on(t.resourcePoolId),
    index('running_agenda_not_started').on(t.insightId, t.admittedTime).where(sql`started_time is null`),
  ],
);

/** The stored answer of one admission batch; a repeat with the same id returns it. */
export const admissionBatch = pgTable(
  'admission_batch',
  {
    id: text('id').primaryKey(),
    insightId: text('insight_id').notNull(),
    answer: json('answer').$type<JsonObject>().notNull(),
    /** Who was admitted and why. */
    decisions: json('decisions').$type<JsonObject[]>().notNull(),
    addedTime: time('added_time').notNull().default(now),
  },
  (t) => [index('admission_batch_by_age').on(t.addedTime)],
);

export const apiKey = pgTable('api_key', {
  /** Public part of the key, its id. */
  prefix: text('prefix').primaryKey(),
  /** SHA-256 of the whole key, hex. */
  hash: text('hash').notNull(),
  title: text('title'),
  /** Customers it acts for. */
  accounts: text('accounts').array().notNull().default([]),
  superUser: boolean('super_user').notNull().default(false),
  /** `read`, `submit`, `operate`, `admin`, `pool:<id>` */
  scopes: text('scopes').array().notNull().default([]),
  addedTime: time('added_time').notNull().default(now),
  expiresTime: time('expires_time'),
  lastUsedTime: time('last_used_time'),
});

/** Answers kept for 24 hours so that a repeated POST with the same Idempotency-Key creates nothing twice. */
export const idempotency = pgTable(
  'idempotency',
  {
    customerId: text('customer_id').notNull(),
    key: text('key').notNull(),
    /** SHA-256 of method, path and body, hex. */
    requestHash: text('request_hash').notNull(),
    agendaId: text('agenda_id').notNull(),
    addedTime: time('added_time').notNull().default(now),
  },
  (t) => [primaryKey({ columns: [t.customerId, t.key] }), index('idempotency_by_age').on(t.addedTime)],
);

export const auditEntry = pgTable(
  'audit_entry',
  {
    number: bigserial('number', { mode: 'number' }).primaryKey(),
    time: time('time').notNull().default(now),
    /** Owner of the object. */
    customerId: text('customer_id').notNull(),
    /** Who did it: a key's prefix, `system`, or a pool. */
    actor: text('actor').notNull(),
    /** Such as `agenda.submit`, `insight.update`. */
    action: text('action').notNull(),
    objectId: text('object_id').notNull(),
    cid: text('cid').notNull(),
    before: json('before').$type<JsonObject>(),
    after: json('after').$type<JsonObject>(),
  },
  (t) => [index('audit_entry_by_object').on(t.objectId, t.number)],
);

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
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type {
  AgendaOutcome,
  EventKind,
  FailureCategory,
  LaunchDecision,
  LaunchEnding,
  OperationOutcome,
} from '../agenda/outcomes.ts';
import type { DiagnosticEvent, JsonObject, OperationTimeout, ProcessingState } from '../agenda/types.ts';
import type { TypeNeeds } from '../messages/resource-pool.ts';
import type { CostModel } from '../scheduling/cost-models.ts';

/** Settings of a customer inside one Insight. */
export interface CustomerInInsight {
  readonly weight?: number;
  readonly band?: number;
  readonly maximumRunning?: number;
  readonly paused?: boolean;
}

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

/** Where Operations run, and how many Agendas and resources may be in use there at once. */
export const resourcePool = pgTable(
  'resource_pool',
  {
    ...base,
    title: text('title'),
    /** What Agendas may hold of it at once, each resource by itself; null, or an absent resource: unlimited. */
    capacity: json('capacity').$type<{ slots?: number; cpu?: number; memory?: number; gpu?: number }>(),
    /** Nothing is admitted to it. */
    paused: boolean('paused').notNull().default(false),
  },
  (t) => [index('resource_pool_by_customer').on(t.customerId, t.id)],
);

/** A registry that pool workers of a pool told: remembered for a while after the last one with it was seen. */
export const poolRegistry = pgTable(
  'pool_registry',
  {
    resourcePoolId: text('resource_pool_id').notNull(),
    /** The same for registries that say the same. */
    digest: text('digest').notNull(),
    /** Its Operation types, with what a run of each needs. */
    types: jsonb('types').$type<Readonly<Record<string, TypeNeeds>>>().notNull(),
    seenTime: time('seen_time').notNull().default(now),
  },
  (t) => [primaryKey({ columns: [t.resourcePoolId, t.digest] })],
);

/** A pool worker as it told of itself; gone when it ends in order, or was not seen for a while. */
export const poolWorker = pgTable(
  'pool_worker',
  {
    resourcePoolId: text('resource_pool_id').notNull(),
    name: text('name').notNull(),
    version: text('version').notNull(),
    /** Operations that it runs at once. */
    slots: integer('slots').notNull(),
    /** Of its registry in use. */
    digest: text('digest').notNull(),
    /** What is wrong with its registry file, which is not in use then. */
    registryProblem: text('registry_problem'),
    startedTime: time('started_time').notNull(),
    seenTime: time('seen_time').notNull().default(now),
  },
  (t) => [primaryKey({ columns: [t.resourcePoolId, t.name] })],
);

/** Whose Agendas run, and what holds for all of them, whichever Insight they wait in. */
export const customer = pgTable(
  'customer',
  {
    ...base,
    title: text('title').notNull(),
    billingCode: text('billing_code'),
    resourcePoolId: text('resource_pool_id'),
    /** Its part among the customers of an Insight is in proportion to this. */
    weight: doublePrecision('weight').notNull().default(1),
    /** With the algorithm Priority: 0 is the top, and strictly before 1. */
    band: integer('band').notNull().default(0),
    /** Most of its Agendas that hold capacity at once, over all Insights; null = unlimited. */
    maximumRunning: integer('maximum_running'),
    /** None of its Agendas is admitted. */
    paused: boolean('paused').notNull().default(false),
    /** Where its Pods go, of types with a namespace for each Customer; null = one that is named after its id. */
    namespace: text('namespace'),
  },
  (t) => [index('customer_by_customer').on(t.customerId, t.id), index('customer_by_pool').on(t.resourcePoolId)],
);

/** A queue before a pool: which Agendas it takes, and by which rules they are admitted. */
export const insight = pgTable(
  'insight',
  {
    ...base,
    title: text('title').notNull(),
    resourcePoolId: text('resource_pool_id').notNull(),
    queueName: text('queue_name'),
    /** Most Agendas admitted that no pool worker has started yet; 0 = paused. */
    queueSize: integer('queue_size').notNull().default(100),
    schedulingAlgorithm: text('scheduling_algorithm').notNull().default('Fairness'),
    /** Most Agendas holding capacity through this Insight; null = unlimited. */
    maximumRunning: integer('maximum_running'),
    /** Its part among the Insights of the pool, when they want more slots than there are. */
    weight: doublePrecision('weight').notNull().default(1),
    /** Slots it gets before others share, as far as it needs them. */
    guaranteed: integer('guaranteed'),
    /** Most slots its Agendas may hold; null = unlimited. */
    maximum: integer('maximum'),
    /** Most admissions in a second; null = unlimited. */
    admissionsPerSecond: doublePrecision('admissions_per_second'),
    costModel: text('cost_model').$type<CostModel>().notNull().default('shareTime'),
    // Null: the algorithm's default.
    priorityStep: doublePrecision('priority_step'),
    floor: integer('floor'),
    promoteAfter: doublePrecision('promote_after'),
    bypassLimit: integer('bypass_limit'),
    bypassSeconds: doublePrecision('bypass_seconds'),
    /** Nothing is admitted through it. */
    paused: boolean('paused').notNull().default(false),
    /**
     * What customers are entitled to here, in place of their own settings; `maximumRunning` here counts this Insight
     * only and comes on top.
     */
    customers: json('customers').$type<Record<string, CustomerInInsight>>().notNull().default({}),
    mappers: json('mappers').$type<Record<string, string[]>>().notNull().default({}),
    isGlobal: boolean('is_global').notNull().default(false),
    /** Lower-cased and sorted. */
    allowedCustomerIds: text('allowed_customer_ids').array().notNull().default([]),
    /** Among several Insights that match, the smallest goes first; then the oldest. */
    order: integer('order').notNull().default(0),
  },
  (t) => [
    index('insight_by_pool').on(t.resourcePoolId, t.order, t.addedTime),
    index('insight_by_customer').on(t.customerId, t.id),
  ],
);

/** One row per Insight, apart from its settings so that a wake never waits for an edit. */
export const insightWake = pgTable('insight_wake', {
  insightId: text('insight_id').primaryKey(),
  wakePending: boolean('wake_pending').notNull().default(false),
  lastTickTime: time('last_tick_time'),
  /** Sweeps that found work for this Insight and no tick since the one before. */
  missedSweeps: integer('missed_sweeps').notNull().default(0),
});

/** An Agenda as it was submitted. */
export const agenda = pgTable(
  'agenda',
  {
    ...base,
    title: text('title'),
    linkId: text('link_id'),
    progressId: text('progress_id').notNull(),
    params: json('params').$type<JsonObject>().notNull().default({}),
    parallelism: integer('parallelism'),
    /** Head start inside its customer, in steps of its Insight; -100 to 100. */
    priority: integer('priority').notNull().default(0),
    /** The most it holds at once, as declared. */
    peak: json('peak').$type<{ slots?: number; cpu?: number; memory?: number; gpu?: number }>(),
    /** As declared. */
    expectedSeconds: doublePrecision('expected_seconds'),
    /** Not admitted before. */
    notBefore: time('not_before'),
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

/** An Operation of an Agenda as it was submitted. */
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

/** How far an Agenda is, and how it ended. */
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
    /** How it ended; null until then. */
    outcome: text('outcome').$type<AgendaOutcome>(),
    /** It cannot succeed any more, though it has not ended yet. */
    failing: boolean('failing').notNull().default(false),
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
    index('agenda_progress_by_outcome').on(t.outcome, t.id).concurrently(),
    index('agenda_progress_by_customer_outcome').on(t.customerId, t.outcome, t.id).concurrently(),
    // Ended by a version that knew no outcomes: the sweep fills them in.
    index('agenda_progress_without_outcome')
      .on(t.id)
      .where(sql`processing_state = 'COMPLETE' and outcome is null`)
      .concurrently(),
  ],
);

/**
 * State of one Operation, and the fence: a report counts only with the current attempt, operation attempt and launch.
 */
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
    /** How it ended; null until then. */
    outcome: text('outcome').$type<OperationOutcome>(),
    /** Whose matter its failure is, of its newest launch that failed; the code says more. */
    failureCategory: text('failure_category').$type<FailureCategory>(),
    failureCode: text('failure_code'),
    /** It is not launched again before. */
    againTime: time('again_time'),
    /** Why it cannot be started now, and since when. */
    blockedReason: text('blocked_reason'),
    blockedSince: time('blocked_since'),
    /** The handler of the newest launch last said something by itself, with its token. */
    reportedTime: time('reported_time'),
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
    // Without those that succeeded, which are most: an end that is no failure costs nothing here.
    index('operation_progress_by_outcome').on(t.outcome, t.id).where(sql`outcome <> 'succeeded'`).concurrently(),
    index('operation_progress_by_customer_outcome')
      .on(t.customerId, t.outcome, t.id)
      .where(sql`outcome <> 'succeeded'`)
      .concurrently(),
  ],
);

/**
 * Each launch of each Operation: where and when, how it ended and what was decided then. A row is written when the
 * launch begins and completed when it ends, never overwritten by a later launch; `operation_progress` shows the newest.
 */
export const operationAttempt = pgTable(
  'operation_attempt',
  {
    agendaId: text('agenda_id').notNull(),
    index: integer('index').notNull(),
    /** The Agenda's attempt. */
    attempt: integer('attempt').notNull(),
    /** As of the Operation, over all its attempts. */
    launch: integer('launch').notNull(),
    /** Executions that count against the customer's attempts. */
    operationAttempt: integer('operation_attempt').notNull(),
    /** Such as `local`. */
    launcher: text('launcher'),
    place: text('place'),
    /** The pool worker that last spoke for it. */
    worker: text('worker'),
    admittedTime: time('admitted_time'),
    scheduledTime: time('scheduled_time'),
    pulledTime: time('pulled_time'),
    startedTime: time('started_time'),
    endedTime: time('ended_time'),
    noticedTime: time('noticed_time'),
    /** Null while it runs. */
    ending: text('ending').$type<LaunchEnding>(),
    category: text('category').$type<FailureCategory>(),
    code: text('code'),
    diagnosticEvents: json('diagnostic_events').$type<DiagnosticEvent[]>(),
    decision: text('decision').$type<LaunchDecision>(),
    /** Where it is launched again: not before. */
    againTime: time('again_time'),
    addedTime: time('added_time').notNull().default(now),
    updatedTime: time('updated_time').notNull().default(now),
  },
  (t) => [primaryKey({ columns: [t.agendaId, t.index, t.attempt, t.launch] })],
);

/**
 * What happened to an Agenda, numbered from 1; written by the statements that change the states, and by nothing else.
 */
export const event = pgTable(
  'event',
  {
    agendaId: text('agenda_id').notNull(),
    number: integer('number').notNull(),
    /** The Agenda's attempt. */
    attempt: integer('attempt').notNull(),
    kind: text('kind').$type<EventKind>().notNull(),
    time: time('time').notNull().default(now),
    /** Of an Operation: its index, launch and operation attempt. */
    index: integer('index'),
    launch: integer('launch'),
    operationAttempt: integer('operation_attempt'),
    outcome: text('outcome'),
    category: text('category').$type<FailureCategory>(),
    code: text('code'),
    /** For people, cut. */
    message: text('message'),
  },
  (t) => [primaryKey({ columns: [t.agendaId, t.number] })],
);

/** Which installation this database is of; one row, made at migration. */
export const installation = pgTable('installation', {
  id: text('id').primaryKey(),
  madeTime: time('made_time').notNull().default(now),
  /**
   * `POP_INSTALLATION` that its Agendas run under, empty without one; null after a renewal: the next control worker
   * says.
   */
  name: text('name').default(''),
  /**
   * Programs that know fewer migrations than this do not work with the database any more; raised by a migration that
   * takes something away.
   */
  oldestSchema: integer('oldest_schema').notNull().default(0),
});

/** Keys that the tokens of launches are signed with; made at migration, rotated with overlap. */
export const launchTokenKey = pgTable('launch_token_key', {
  number: bigserial('number', { mode: 'number' }).primaryKey(),
  /** 32 bytes, hex. */
  secret: text('secret').notNull(),
  madeTime: time('made_time').notNull().default(now),
  /** Tokens of it are no longer taken from then on; null while it is in use. */
  retiredTime: time('retired_time'),
});

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
    priority: integer('priority').notNull().default(0),
    /** `slots,cpu,memory,gpu`: the same text for the same need. */
    need: text('need').notNull().default('1,0,0,0'),
    /** What is learned of durations is kept by this. */
    agendaType: text('agenda_type').notNull().default(''),
    /** As declared. */
    expectedSeconds: doublePrecision('expected_seconds'),
    /** Bands it has climbed by waiting. */
    promoted: integer('promoted').notNull().default(0),
    /** When it came to its band. */
    movedTime: time('moved_time').notNull().default(now),
    /** False until `readyTime`, where that was in the future. */
    isDue: boolean('is_due').notNull().default(true),
  },
  (t) => [
    // A customer's waiting Agendas that are alike, oldest first: what admission reads heads from.
    index('ready_agenda_of_queue')
      .on(t.insightId, t.customerId, t.promoted, t.need, t.priority, t.readyTime, t.agendaId)
      .where(sql`is_due`),
    index('ready_agenda_by_age').on(t.insightId, t.readyTime),
    index('ready_agenda_not_due').on(t.insightId, t.readyTime).where(sql`not is_due`),
  ],
);

/**
 * A customer's waiting Agendas of one need in one Insight, with where its lane stands, so that the few customers that
 * can be next are found by index. Written by admission only; what came since is in `settlement`.
 */
export const waitingQueue = pgTable(
  'waiting_queue',
  {
    insightId: text('insight_id').notNull(),
    customerId: text('customer_id').notNull(),
    /** As of its Agendas. */
    promoted: integer('promoted').notNull(),
    need: text('need').notNull(),
    /** Priorities that its Agendas have, or had. */
    priorities: integer('priorities').array().notNull(),
    /** The band it stands in. */
    level: integer('level').notNull().default(0),
    /** Its customer may start something. */
    active: boolean('active').notNull().default(false),
    /** S of its lane; with FirstInFirstOut the ready time of its first Agenda. Rounded: for the order only. */
    start: doublePrecision('start').notNull().default(0),
    /** F of its lane; otherwise as `start`. */
    finish: doublePrecision('finish').notNull().default(0),
    /** When its first Agenda came to its band: who climbs next. */
    headMovedTime: time('head_moved_time'),
  },
  (t) => [
    primaryKey({ columns: [t.insightId, t.customerId, t.promoted, t.need] }),
    index('waiting_queue_by_finish')
      .on(t.insightId, t.level, t.need, t.finish, t.start, sql`customer_id collate "C"`)
      .where(sql`active`),
    index('waiting_queue_by_start')
      .on(t.insightId, t.level, t.need, t.start, sql`customer_id collate "C"`)
      .where(sql`active`),
    index('waiting_queue_to_promote').on(t.insightId, t.headMovedTime).where(sql`level > 0`),
    index('waiting_queue_by_customer').on(t.customerId),
  ],
);

/** A customer in a band of an Insight: its tags. Written by admission only. */
export const customerLane = pgTable(
  'customer_lane',
  {
    insightId: text('insight_id').notNull(),
    customerId: text('customer_id').notNull(),
    level: integer('level').notNull(),
    /** S, a compensated sum: value and error. */
    tag: doublePrecision('tag').notNull(),
    tagError: doublePrecision('tag_error').notNull(),
    state: text('state').$type<'active' | 'leaving' | 'dormant'>().notNull(),
    /** The customer's, as counted in the band's sum. */
    weight: doublePrecision('weight').notNull(),
    /** The customer's band when this was written. */
    band: integer('band').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.insightId, t.customerId, t.level] }),
    index('customer_lane_leaving').on(t.insightId, t.level, t.tag).where(sql`state = 'leaving'`),
  ],
);

/** A band of an Insight: its clock. Written by admission only. */
export const insightBand = pgTable(
  'insight_band',
  {
    insightId: text('insight_id').notNull(),
    level: integer('level').notNull(),
    /** V, a compensated sum. */
    clock: doublePrecision('clock').notNull(),
    clockError: doublePrecision('clock_error').notNull(),
    /** W, a compensated sum: weights of the lanes that are active or leaving. */
    total: doublePrecision('total').notNull(),
    totalError: doublePrecision('total_error').notNull(),
    /** How many those are. */
    members: integer('members').notNull(),
    /** Admissions here since the last one below, while something below could start. */
    sinceLower: integer('since_lower').notNull(),
  },
  (t) => [primaryKey({ columns: [t.insightId, t.level] })],
);

/** What admission remembers of an Insight between batches, besides lanes and bands. */
export const insightState = pgTable('insight_state', {
  insightId: text('insight_id').primaryKey(),
  /** Tags and clocks are of this algorithm and cost model; others begin anew. */
  algorithm: text('algorithm').notNull(),
  costModel: text('cost_model').notNull(),
  /** Counts such beginnings: costs of admissions of an earlier one are not trued up. */
  epoch: integer('epoch').notNull().default(0),
  /** Admissions so far. */
  admissions: bigint('admissions', { mode: 'number' }).notNull().default(0),
  /** The Agenda that capacity is held for. */
  heldAgendaId: text('held_agenda_id'),
  /** What it needs: no other Insight of the pool takes it. */
  heldNeed: text('held_need'),
  /** What the algorithm remembers: who passed units that did not fit, or whose turn it is. */
  memory: json('memory').$type<JsonObject>().notNull().default({}),
});

/** What a pool remembers between batches. */
export const resourcePoolState = pgTable('resource_pool_state', {
  resourcePoolId: text('resource_pool_id').primaryKey(),
  /** By Insight: parts of slots it is owed, so that what is left over goes round. */
  remainders: json('remainders').$type<Record<string, number>>().notNull().default({}),
  /** By Insight: the slots it was entitled to when the pool was divided last; empty while it need not be divided. */
  parts: json('parts').$type<Record<string, number>>().notNull().default({}),
});

/**
 * What happened since the last batch, for admission to fold in: written in the transaction in which it happened.
 * `ready`: an Agenda waits, or waits with another priority. `gone`: one that waited does not any more. `ended`: one
 * that ran has. `changed`: settings of the customer; without a customer: of the Insight or its pool.
 */
export const settlement = pgTable(
  'settlement',
  {
    number: bigserial('number', { mode: 'number' }).primaryKey(),
    insightId: text('insight_id').notNull(),
    customerId: text('customer_id'),
    kind: text('kind').$type<'ready' | 'gone' | 'ended' | 'changed'>().notNull(),
    agendaId: text('agenda_id'),
    attempt: integer('attempt'),
    promoted: integer('promoted'),
    need: text('need'),
    priority: integer('priority'),
    time: time('time').notNull().default(now),
  },
  (t) => [
    index('settlement_by_insight').on(t.insightId, t.number),
    index('settlement_of_all_customers').on(t.insightId).where(sql`customer_id is null`),
  ],
);

/** Each admission, for audits, estimates and shares; kept for a while. */
export const admission = pgTable(
  'admission',
  {
    agendaId: text('agenda_id').notNull(),
    attempt: integer('attempt').notNull(),
    insightId: text('insight_id').notNull(),
    resourcePoolId: text('resource_pool_id').notNull(),
    customerId: text('customer_id').notNull(),
    /** Of its Insight, from 1. */
    number: bigint('number', { mode: 'number' }).notNull(),
    batchId: text('batch_id').notNull(),
    admittedTime: time('admitted_time').notNull(),
    readyTime: time('ready_time').notNull(),
    algorithm: text('algorithm').notNull(),
    costModel: text('cost_model').$type<CostModel>().notNull(),
    epoch: integer('epoch').notNull(),
    /** A code; see docs/scheduling.md. */
    reason: text('reason').notNull(),
    agendaType: text('agenda_type').notNull(),
    need: text('need').notNull(),
    /** The band it was admitted in. */
    level: integer('level').notNull(),
    /** Seconds it was expected to run. */
    expectedSeconds: doublePrecision('expected_seconds').notNull(),
    /** That was declared or learned; otherwise it is what an unknown duration counts. */
    durationKnown: boolean('duration_known').notNull().default(false),
    /** Cost it was charged. */
    cost: doublePrecision('cost').notNull(),
    /** Its customer's weight then. */
    weight: doublePrecision('weight').notNull(),
    /** W then; null where the algorithm has no weights, as the tags are. */
    total: doublePrecision('total'),
    /** V before it was admitted. */
    clock: doublePrecision('clock'),
    /** S of its lane before it was admitted. */
    start: doublePrecision('start'),
    /** F of its lane before it was admitted. */
    finish: doublePrecision('finish'),
    endedTime: time('ended_time'),
    /** Seconds it held capacity. */
    seconds: doublePrecision('seconds'),
    /** Cost of what it really used. */
    actualCost: doublePrecision('actual_cost'),
  },
  (t) => [
    primaryKey({ columns: [t.agendaId, t.attempt] }),
    index('admission_by_insight').on(t.insightId, t.admittedTime),
    index('admission_by_age').on(t.admittedTime),
  ],
);

/**
 * What was learned of durations: by Insight, customer and type of Agenda; the customer '' stands for all. Written by
 * admission only.
 */
export const learnedDuration = pgTable(
  'learned_duration',
  {
    insightId: text('insight_id').notNull(),
    customerId: text('customer_id').notNull(),
    agendaType: text('agenda_type').notNull(),
    seconds: doublePrecision('seconds').notNull(),
    samples: integer('samples').notNull(),
    updatedTime: time('updated_time').notNull().default(now),
  },
  (t) => [primaryKey({ columns: [t.insightId, t.agendaType, t.customerId] })],
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
    // What it holds of its pool.
    slots: doublePrecision('slots').notNull().default(1),
    cpu: doublePrecision('cpu').notNull().default(0),
    memory: doublePrecision('memory').notNull().default(0),
    gpu: doublePrecision('gpu').notNull().default(0),
    admittedTime: time('admitted_time').notNull().default(now),
    /** Its workflow was started. */
    startedTime: time('started_time'),
    /** Its first Operation was started: it left the queue. */
    leftQueueTime: time('left_queue_time'),
    /** The workflow run that claimed this attempt. */
    runId: text('run_id'),
    /**
     * Its workflow, and the first run of the chain that it continues: runs that continue it, or were reset, belong to
     * the same claim.
     */
    workflowId: text('workflow_id'),
    firstRunId: text('first_run_id'),
    /** Last sign of life: a claim, an Operation's start, progress or end. */
    seenTime: time('seen_time').notNull().default(now),
  },
  (t) => [
    index('running_agenda_by_insight').on(t.insightId),
    index('running_agenda_by_pool').on(t.resourcePoolId),
    index('running_agenda_by_customer').on(t.customerId),
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
    addedTime: time('added_time').notNull().default(now),
  },
  (t) => [index('admission_batch_by_age').on(t.addedTime)],
);

/** Keys of callers; a key itself is nowhere, only its hash. */
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

/** Who changed what and when. */
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

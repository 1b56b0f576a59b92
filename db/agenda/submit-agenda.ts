/**
 * Submission: everything an Agenda needs is written by one statement, so either all of it is there or nothing.
 * The Insight is chosen from what the same transaction reads; should it vanish before the write, or the customer move to another pool
 * (their rows are locked against both there), the choice is made again.
 */
import type postgres from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import { agendaTypeOf } from '../../agenda/agenda-type.ts';
import { quoted } from '../../agenda/cut.ts';
import type { Agenda, Fault, Json, Peak } from '../../agenda/types.ts';
import { defaultAttempts, maximumAttemptsOf } from '../../agenda/validate-agenda.ts';
import { chooseInsight, type MappedInsight } from '../../scheduling/insight-mapping.ts';
import { keyOfNeed, resourceNames } from '../../scheduling/need.ts';
import type { Database, Statements } from '../connect.ts';

export interface Submission {
  /** Checked already: schema, names, references, cycles. */
  readonly agenda: Agenda;
  /** Per Operation, the indexes of those it waits for. */
  readonly dependencies: readonly (readonly number[])[];
  /** Prefix of the caller's key. */
  readonly actor: string;
  readonly cid: string;
  readonly idempotency?: {
    readonly key: string /** SHA-256 of method, path and body, hex. */;
    readonly requestHash: string;
  };
}

export type SubmitRefusal =
  | 'customerNotFound'
  | 'noInsight'
  | 'defaultInsightDoesNotMatch'
  | 'peakTooLarge'
  | 'progressIdNotSupported'
  | 'idempotencyKeyReused'
  | 'idempotencyKeyRunning'
  | 'idempotentAgendaGone';

export type SubmitAnswer =
  | {
      readonly kind: 'created';
      readonly agendaId: string;
      readonly progressId: string;
      readonly insightId: string;
      readonly resourcePoolId: string;
      /** Epoch milliseconds. */
      readonly addedTime: number;
      /** It waits for admission; false with the param `doNotRun`. */
      readonly ready: boolean;
    }
  /** The same request created this Agenda before. */
  | { readonly kind: 'replayed'; readonly agendaId: string }
  | {
      readonly kind: 'refused';
      readonly code: SubmitRefusal;
      readonly message: string;
      /** Where in the request body; empty when it is no fault of the body. */
      readonly faults: readonly Fault[];
    };

export type InsightForAgenda =
  | { readonly kind: 'chosen'; readonly insightId: string; readonly resourcePoolId: string }
  | Extract<SubmitAnswer, { kind: 'refused' }>;

/** Writes a checked Agenda with its progress, its waiting entry, its idempotency record and its audit entry. */
export async function submitAgenda(database: Database, submission: Submission): Promise<SubmitAnswer> {
  if (submission.agenda.progressId !== undefined) {
    return refused(
      'progressIdNotSupported',
      'Reusing an AgendaProgress is not supported: leave progressId out, it is made by the server.',
      '/progressId',
    );
  }
  return (await database.$client.begin(async (sql: Statements): Promise<SubmitAnswer> => {
    // Not awaited one by one: the statements travel together and run in this order.
    const [earlier, candidates] = await Promise.all([
      earlierAnswer(sql, submission),
      readCandidates(sql, submission.agenda.customerId),
    ]);
    if (earlier !== undefined) return earlier;
    let insight = pickInsight(submission.agenda, candidates);
    while (insight.kind === 'chosen') {
      const written = await write(sql, submission, insight.insightId, insight.resourcePoolId);
      if (written !== undefined) return written;
      insight = pickInsight(submission.agenda, await readCandidates(sql, submission.agenda.customerId));
    }
    return insight;
  })) as SubmitAnswer;
}

/** Which Insight this Agenda would go to; stores nothing. */
export async function insightForAgenda(database: Database, agenda: Agenda): Promise<InsightForAgenda> {
  return pickInsight(agenda, await readCandidates(database.$client, agenda.customerId));
}

interface CandidateRow {
  readonly pool: string | null;
  readonly capacity: Peak | null;
  readonly insights: readonly (MappedInsight & { readonly maximum: number | null })[];
}

/** The customer's pool and that pool's Insights; no row: there is no such customer. */
function readCandidates(sql: postgres.ISql, customerId: string): Promise<readonly CandidateRow[]> {
  return sql<CandidateRow[]>`
    select c.resource_pool_id as pool, (select p.capacity from resource_pool p where p.id = c.resource_pool_id) as capacity,
      coalesce(
        (select json_agg(json_build_object('id', i.id, 'title', i.title, 'customerId', i.customer_id, 'mappers', i.mappers, 'isGlobal', i.is_global,
          'allowedCustomerIds', i.allowed_customer_ids, 'order', i."order", 'maximum', i.maximum, 'addedTime', extract(epoch from i.added_time) * 1000))
          from insight i where i.resource_pool_id = c.resource_pool_id),
        '[]') as insights
    from customer c where c.id = ${customerId}`.execute();
}

function pickInsight(agenda: Agenda, rows: readonly CandidateRow[]): InsightForAgenda {
  const row = rows[0];
  if (row === undefined)
    return refused('customerNotFound', `Customer not found for customerId ${agenda.customerId}`, '/customerId');
  const { pool, capacity, insights } = row;
  const choice = chooseInsight({ agenda, customerId: agenda.customerId, insights });
  if (choice.kind === 'chosen' && pool !== null) {
    const { insightId } = choice;
    const maximum = insights.find(({ id }) => id === insightId)?.maximum ?? undefined;
    const faults = [
      ...peakFaults(agenda.peak, capacity ?? {}, `the ResourcePool ${JSON.stringify(pool)} has`),
      ...peakFaults(
        agenda.peak,
        maximum === undefined ? {} : { slots: maximum },
        `the Insight ${quoted(insightId)} may hold`,
      ),
    ];
    if (faults.length === 0) return { kind: 'chosen', insightId, resourcePoolId: pool };
    return { kind: 'refused', code: 'peakTooLarge', message: faults.map(({ message }) => message).join(' '), faults };
  }
  if (choice.kind !== 'defaultInsightDoesNotMatch')
    return refused('noInsight', 'No available insights for processing agenda');
  const message = `The Insight ${quoted(choice.defaultInsight)} that params.defaultInsight names does not match this Agenda.`;
  return refused('defaultInsightDoesNotMatch', message, '/params/defaultInsight');
}

/** What could never be admitted. A limit that is lowered later makes it wait, and is told by its explanation. */
function peakFaults(peak: Peak | undefined, limits: Peak, who: string): Fault[] {
  return resourceNames.flatMap((resource) => {
    const [amount = 0, limit = Number.POSITIVE_INFINITY] = [peak?.[resource], limits[resource]];
    if (amount <= limit) return [];
    const message = `peak.${resource} is ${amount}; ${who} ${limit} in all.`;
    return [{ pointer: `/peak/${resource}`, code: 'peakTooLarge', message }];
  });
}

type Earlier = Exclude<SubmitAnswer, { kind: 'created' }> | undefined;

/** Answers of 24 hours are kept; a key in use right now is busy. */
async function earlierAnswer(sql: Statements, { agenda, idempotency }: Submission): Promise<Earlier> {
  if (idempotency === undefined) return undefined;
  const { customerId } = agenda;
  // The lock is taken by a statement of its own, before the one that looks: whoever gets it sees what its former holder wrote.
  const [[lock], [record]] = await Promise.all([
    sql<
      { free: boolean }[]
    >`select pg_try_advisory_xact_lock(hashtextextended(${idempotency.key}, hashtextextended(${customerId}, 0))) as free`,
    sql<{ requestHash: string; agendaId: string; there: boolean }[]>`
      select r.request_hash as "requestHash", r.agenda_id as "agendaId", exists (select from agenda a where a.id = r.agenda_id) as there
      from idempotency r
      where r.customer_id = ${customerId} and r.key = ${idempotency.key} and r.added_time > clock_timestamp() - interval '24 hours'`,
  ]);
  if (record !== undefined) {
    if (record.requestHash !== idempotency.requestHash) {
      return refused(
        'idempotencyKeyReused',
        'This Idempotency-Key was used with another request within the last 24 hours.',
      );
    }
    return record.there
      ? { kind: 'replayed', agendaId: record.agendaId }
      : refused(
          'idempotentAgendaGone',
          `The Agenda ${record.agendaId} that this Idempotency-Key created has been deleted.`,
        );
  }
  return lock?.free
    ? undefined
    : refused('idempotencyKeyRunning', 'A request with this Idempotency-Key is still running.');
}

/** @returns undefined when the Insight or the customer is gone or has moved to another pool: nothing was written. */
async function write(
  sql: Statements,
  submission: Submission,
  insightId: string,
  resourcePoolId: string,
): Promise<SubmitAnswer | undefined> {
  const { agenda, dependencies, cid, actor, idempotency } = submission;
  const { operations, customerId, params = {} } = agenda;
  const [title, linkId] = [agenda.title ?? null, agenda.linkId ?? null];
  const agendaId = uuidv7();
  const progressId = uuidv7();
  const ready = !Object.hasOwn(params, 'doNotRun');
  const { priority = 0, peak, expectedSeconds = null } = agenda;
  const notBefore = agenda.notBefore === undefined ? null : new Date(agenda.notBefore).toISOString();
  const need = keyOfNeed(peak && { slots: 1, ...peak });
  const after = JSON.stringify({
    title,
    linkId,
    insightId,
    progressId,
    operations: operations.length,
    priority,
    ready,
  });
  // JSON goes as text and is cast by the server: what was sent comes back, `\u0000` in strings included.
  const rows = await sql<{ addedTime: number }[]>`
    with at as materialized (select clock_timestamp() as now),
    chosen as (
      select i.id, i.resource_pool_id from insight i join customer c on c.resource_pool_id = i.resource_pool_id
      where i.id = ${insightId} and i.resource_pool_id = ${resourcePoolId} and c.id = ${customerId} for key share),
    stored as (
      insert into agenda (id, cid, customer_id, added_time, updated_time, title, link_id, progress_id, params, parallelism, priority, peak,
        expected_seconds, not_before, insight_id, resource_pool_id)
      select ${agendaId}, ${cid}, ${customerId}, at.now, at.now, ${title}, ${linkId}, ${progressId}, ${JSON.stringify(params)}::text::json,
        ${agenda.parallelism ?? null}::int, ${priority}::int, ${peak === undefined ? null : JSON.stringify(peak)}::text::json,
        ${expectedSeconds}::float8, ${notBefore}::timestamptz, chosen.id, chosen.resource_pool_id
      from chosen, at
      returning added_time),
    submitted as (
      select o.* from stored, unnest(
        ${operations.map((o) => o.name)}::text[], ${operations.map((o) => o.type)}::text[], ${operations.map((o) => o.id ?? null)}::text[],
        ${operations.map((o) => jsonText(o.payload))}::text[], ${operations.map((o) => jsonText(o.params))}::text[],
        ${operations.map((o) => (o.dependsOn === undefined ? null : textArray(o.dependsOn)))}::text[],
        ${dependencies.map((on) => `{${on.join()}}`)}::text[], ${operations.map((o) => o.weight ?? 1)}::float8[],
        ${operations.map((o) => jsonText(o.timeout as Json | undefined))}::text[]
      ) with ordinality as o(name, type, given_id, payload, params, depends_on, dependencies, weight, timeout, number)),
    stored_operations as (
      insert into operation (agenda_id, index, name, type, given_id, payload, params, depends_on, dependencies, weight, timeout)
      select ${agendaId}, number - 1, name, type, given_id, payload, params::json, depends_on::text[], dependencies::int[], weight, timeout::json
      from submitted),
    progress as (
      insert into agenda_progress (id, cid, customer_id, added_time, updated_time, agenda_id, link_id, external_id, title, maximum_attempts)
      select ${progressId}, ${cid}, ${customerId}, at.now, at.now, ${agendaId}, ${linkId}, ${externalId(params.externalId)}, ${title},
        ${maximumAttemptsOf(params) ?? defaultAttempts}::int
      from stored, at),
    operation_progress_rows as (
      insert into operation_progress (agenda_id, index, id, agenda_progress_id, customer_id, cid, operation, added_time, updated_time)
      select ${agendaId}, number - 1, ${progressId} || '-' || name, ${progressId}, ${customerId}, ${cid}, name, at.now, at.now
      from submitted, at),
    waiting as (
      insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, ready_time, moved_time, is_due, priority, need,
        agenda_type, expected_seconds)
      select ${agendaId}, chosen.id, chosen.resource_pool_id, ${customerId}, 1, due.time, due.time, due.time = at.now, ${priority}::int, ${need},
        ${agendaTypeOf(agenda)}, ${expectedSeconds}::float8
      from chosen, stored, at, lateral (select greatest(at.now, ${notBefore}::timestamptz) as time) due where ${ready}::boolean
      returning insight_id, customer_id, promoted, need, priority),
    settled as (
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      select insight_id, customer_id, 'ready', promoted, need, priority from waiting),
    remembered as (
      insert into idempotency (customer_id, key, request_hash, agenda_id, added_time)
      select ${customerId}, ${idempotency?.key ?? null}, ${idempotency?.requestHash ?? null}, ${agendaId}, at.now
      from stored, at where ${idempotency !== undefined}::boolean
      on conflict (customer_id, key) do update set request_hash = excluded.request_hash, agenda_id = excluded.agenda_id, added_time = excluded.added_time),
    audited as (
      insert into audit_entry (time, customer_id, actor, action, object_id, cid, after)
      select at.now, ${customerId}, ${actor}, 'agenda.submit', ${agendaId}, ${cid}, ${after}::text::json from stored, at)
    select floor(extract(epoch from added_time) * 1000)::float8 as "addedTime" from stored`;
  const row = rows[0];
  return row && { kind: 'created', agendaId, progressId, insightId, resourcePoolId, addedTime: row.addedTime, ready };
}

/** POP's readers take numbers and booleans for text. */
function externalId(value: Json | undefined): string | null {
  return value === undefined || value === null || typeof value === 'object' ? null : String(value);
}

function jsonText(value: Json | undefined): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}

/** Postgres' own notation of a text array. */
function textArray(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join()}}`;
}

function refused(code: SubmitRefusal, message: string, pointer?: string): Extract<SubmitAnswer, { kind: 'refused' }> {
  return { kind: 'refused', code, message, faults: pointer === undefined ? [] : [{ pointer, code, message }] };
}

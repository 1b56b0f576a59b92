/**
 * Everything an Agenda needs, written by one statement: either all of it is there or nothing. The statement is composed
 * of paragraphs, each of which is one table. JSON goes as text and is cast by the server: what was sent comes back,
 * `\u0000` in strings included.
 */
import { v7 as uuidv7 } from 'uuid';
import { agendaTypeOf } from '../../agenda/agenda-type.ts';
import type { Agenda, Json, Peak } from '../../agenda/types.ts';
import { defaultAttempts, maximumAttemptsOf } from '../../agenda/validate-agenda.ts';
import { keyOfNeed } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { firstEvents } from '../event/write-events.ts';
import { type IdempotencyKey, rememberAnswer } from './idempotency.ts';
import { makeReady, settleWaiting } from './make-ready.ts';
import type { SubmitAnswer } from './submit-answer.ts';

/** A checked Agenda on its way into the record. */
export interface Submission {
  /** Checked already: schema, names, references, cycles. */
  readonly agenda: Agenda;
  /** Per Operation, the indexes of those it waits for. */
  readonly dependencies: readonly (readonly number[])[];
  /** Prefix of the caller's key. */
  readonly actor: string;
  readonly cid: string;
  readonly idempotency?: IdempotencyKey;
}

/** Where it goes, and what it is charged for there. */
export interface Destination {
  readonly insightId: string;
  readonly resourcePoolId: string;
  /** Absent: one slot. */
  readonly demand?: Peak;
  readonly isUnchecked: boolean;
}

/** Submission with the ids that were made for it. */
interface Entry extends Submission, Destination {
  readonly agendaId: string;
  readonly progressId: string;
  readonly customerId: string;
  readonly notBefore: string | null;
  readonly isReady: boolean;
}

/**
 * Writes it. Undefined when the Insight or the customer is gone or has moved to another pool: then nothing was written.
 */
export async function writeAgenda(
  sql: Statements,
  submission: Submission,
  { insightId, resourcePoolId, demand, isUnchecked }: Destination,
): Promise<SubmitAnswer | undefined> {
  const { agenda } = submission;
  const entry: Entry = {
    ...submission,
    insightId,
    resourcePoolId,
    ...(demand === undefined ? {} : { demand }),
    isUnchecked,
    agendaId: uuidv7(),
    progressId: uuidv7(),
    customerId: agenda.customerId,
    notBefore: agenda.notBefore === undefined ? null : new Date(agenda.notBefore).toISOString(),
    isReady: !Object.hasOwn(agenda.params ?? {}, 'doNotRun'),
  };
  const [row] = await sql<{ addedTime: number }[]>`
    /* submitAgenda: write */
    with at as materialized (select clock_timestamp() as now),
    ${lockedChoice(sql, entry)},
    ${storeAgenda(sql, entry)},
    told as (${firstEvents(sql, sql`(select agenda_id, attempt from stored)`)}),
    ${operationRows(sql, entry)},
    ${storeOperations(sql, entry)},
    ${storeProgress(sql, entry)},
    ${storeOperationProgress(sql, entry)},
    ${makeReady(sql, readyEntryOf(entry), entry.isReady)},
    ${settleWaiting(sql)},
    ${rememberAnswer(sql, entry, submission.idempotency)},
    ${auditSubmission(sql, entry)}
    select floor(extract(epoch from added_time) * 1000)::float8 as "addedTime" from stored`;
  if (row === undefined) return undefined;
  const { agendaId, progressId, isReady: ready } = entry;
  const { addedTime } = row;
  return { kind: 'created', agendaId, progressId, insightId, resourcePoolId, addedTime, ready, isUnchecked };
}

/** The Insight, and with it the customer, locked against deletion and against a move to another pool. */
const lockedChoice = (sql: Statements, { insightId, resourcePoolId, customerId }: Entry) => sql`
  chosen as (
    select i.id, i.resource_pool_id
    from insight i join customer c on c.resource_pool_id = i.resource_pool_id
    where i.id = ${insightId} and i.resource_pool_id = ${resourcePoolId} and c.id = ${customerId}
    for key share)`;

const storeAgenda = (sql: Statements, { agenda, agendaId, progressId, customerId, cid, notBefore }: Entry) => sql`
  stored as (
    insert into agenda (
      id,
      cid,
      customer_id,
      added_time,
      updated_time,
      title,
      link_id,
      progress_id,
      params,
      parallelism,
      priority,
      peak,
      expected_seconds,
      not_before,
      insight_id,
      resource_pool_id)
    select
      ${agendaId},
      ${cid},
      ${customerId},
      at.now,
      at.now,
      ${agenda.title ?? null},
      ${agenda.linkId ?? null},
      ${progressId},
      ${JSON.stringify(agenda.params ?? {})}::text::json,
      ${agenda.parallelism ?? null}::int,
      ${agenda.priority ?? 0}::int,
      ${agenda.peak === undefined ? null : JSON.stringify(agenda.peak)}::text::json,
      ${agenda.expectedSeconds ?? null}::float8,
      ${notBefore}::timestamptz,
      chosen.id,
      chosen.resource_pool_id
    from chosen, at
    returning id as agenda_id, attempt, added_time)`;

/** The Operations as rows, in the order in which they were submitted. */
const operationRows = (sql: Statements, { agenda: { operations }, dependencies }: Entry) => sql`
  submitted as (
    select o.* from stored, unnest(
      ${operations.map((o) => o.name)}::text[],
      ${operations.map((o) => o.type)}::text[],
      ${operations.map((o) => o.id ?? null)}::text[],
      ${operations.map((o) => jsonText(o.payload))}::text[],
      ${operations.map((o) => jsonText(o.params))}::text[],
      ${operations.map((o) => (o.dependsOn === undefined ? null : textArray(o.dependsOn)))}::text[],
      ${dependencies.map((on) => `{${on.join()}}`)}::text[],
      ${operations.map((o) => o.weight ?? 1)}::float8[],
      ${operations.map((o) => jsonText(o.timeout as Json | undefined))}::text[]
    ) with ordinality as o(
      name,
      type,
      given_id,
      payload,
      params,
      depends_on,
      dependencies,
      weight,
      timeout,
      number))`;

const storeOperations = (sql: Statements, { agendaId }: Entry) => sql`
  stored_operations as (
    insert into operation (
      agenda_id,
      index,
      name,
      type,
      given_id,
      payload,
      params,
      depends_on,
      dependencies,
      weight,
      timeout)
    select
      ${agendaId},
      number - 1,
      name,
      type,
      given_id,
      payload,
      params::json,
      depends_on::text[],
      dependencies::int[],
      weight,
      timeout::json
    from submitted)`;

const storeProgress = (sql: Statements, { agenda, agendaId, progressId, customerId, cid }: Entry) => sql`
  progress as (
    insert into agenda_progress (
      id,
      cid,
      customer_id,
      added_time,
      updated_time,
      agenda_id,
      link_id,
      external_id,
      title,
      maximum_attempts)
    select
      ${progressId},
      ${cid},
      ${customerId},
      at.now,
      at.now,
      ${agendaId},
      ${agenda.linkId ?? null},
      ${externalId(agenda.params?.externalId)},
      ${agenda.title ?? null},
      ${maximumAttemptsOf(agenda.params ?? {}) ?? defaultAttempts}::int
    from stored, at)`;

const storeOperationProgress = (sql: Statements, { agendaId, progressId, customerId, cid }: Entry) => sql`
  operation_progress_rows as (
    insert into operation_progress (
      agenda_id,
      index,
      id,
      agenda_progress_id,
      customer_id,
      cid,
      operation,
      added_time,
      updated_time)
    select
      ${agendaId},
      number - 1,
      ${progressId} || '-' || name,
      ${progressId},
      ${customerId},
      ${cid},
      name,
      at.now,
      at.now
    from submitted, at)`;

const readyEntryOf = ({ agenda, agendaId, customerId, notBefore, demand }: Entry) => ({
  agendaId,
  customerId,
  attempt: 1,
  priority: agenda.priority ?? 0,
  need: keyOfNeed(demand),
  agendaType: agendaTypeOf(agenda),
  expectedSeconds: agenda.expectedSeconds ?? null,
  notBefore,
});

function auditSubmission(sql: Statements, entry: Entry) {
  const { agenda, agendaId, progressId, insightId, customerId, actor, cid, isReady } = entry;
  const after = JSON.stringify({
    title: agenda.title ?? null,
    linkId: agenda.linkId ?? null,
    insightId,
    progressId,
    operations: agenda.operations.length,
    priority: agenda.priority ?? 0,
    ready: isReady,
  });
  return sql`
  audited as (
    insert into audit_entry (time, customer_id, actor, action, object_id, cid, after)
    select at.now, ${customerId}, ${actor}, 'agenda.submit', ${agendaId}, ${cid}, ${after}::text::json
    from stored, at)`;
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

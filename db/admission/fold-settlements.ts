/**
 * Takes in what happened since the last batch: Agendas that came, went or became due, costs that are known now,
 * settings that changed. Each settlement row names a customer. Where that customer stands is worked out anew from the
 * record, so a row may be taken in late, or together with others, and the outcome is the same.
 */

import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import { type Estimate, learn } from '../../scheduling/index.ts';
import { amountsOfKey } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { type LoadedCustomer, loadCustomers } from './customers.ts';
import { expectHeads, readHeads } from './heads.ts';
import { changesOf, itemsOf, openPart, placedBy, placedByTime } from './rules-view.ts';
import { isFairShare, type Settings } from './settings.ts';
import { storeChanges } from './store.ts';

/** Most settlement rows of one batch: what keeps it short. */
const mostRows = 600;
/** Most Agendas that climb a band in one batch, of one queue. */
const mostClimbing = 100;

interface SettlementRow {
  customerId: string;
  kind: 'ready' | 'gone' | 'ended' | 'changed';
  agendaId: string | null;
  attempt: number | null;
  promoted: number | null;
  need: string | null;
  priority: number | null;
  /** Epoch seconds. */
  time: number;
}

/** An Agenda that came to a queue. */
type CameRow = Pick<SettlementRow, 'customerId' | 'promoted' | 'need' | 'priority'>;

/** What came of it. */
export interface Folded {
  readonly bands: Settings['bands'];
  /** Something was taken in. */
  readonly any: boolean;
  /** Agendas that do not wait any more. */
  readonly gone: readonly string[];
  /** There may be more: nothing is to be decided yet. */
  readonly more: boolean;
}

/** Takes in what there is, in portions, and writes where customers stand now. */
export async function foldSettlements(
  sql: Statements,
  settings: Settings & { readonly isNew: boolean },
): Promise<Folded> {
  const { insightId, now } = settings;
  const [, , , rows, due, climbed] = await Promise.all([
    settings.isNew
      ? sql`/* admitBatch: forget lanes */ delete from customer_lane where insight_id = ${insightId}`
      : undefined,
    settings.isNew
      ? sql`/* admitBatch: forget bands */ delete from insight_band where insight_id = ${insightId}`
      : undefined,
    spread(sql, settings),
    takeRows(sql, insightId),
    becomeDue(sql, settings),
    settings.algorithm === 'Priority' && settings.options.promoteAfter !== undefined
      ? climb(sql, insightId, now - settings.options.promoteAfter)
      : [],
  ]);
  const came = [...rows, ...due, ...climbed];
  const more = rows.length === mostRows || due.length === mostRows;
  const gone = rows.flatMap(({ kind, agendaId }) => (kind === 'gone' && agendaId !== null ? [agendaId] : []));
  if (came.length === 0) return { bands: settings.bands, any: false, gone, more };

  const customers = await loadCustomers(sql, settings, [...new Set(came.map((row) => row.customerId))]);
  for (const { customerId, promoted, need, priority } of came) {
    if (promoted === null || need === null || priority === null) continue;
    expectHeads(customers.get(customerId) as LoadedCustomer, { promoted, need, priority });
  }
  const ended = await takeEnds(sql, settings, rows);
  await readFirstOfEach(sql, insightId, customers);
  if (!isFairShare(settings.algorithm)) {
    await Promise.all(storeChanges(sql, settings, changesOf(customers, placedByTime(settings))));
    return { bands: [], any: true, gone, more };
  }
  const part = openPart(settings, customers, itemsOf(settings, customers), {
    running: ended.map(({ item }) => item),
    ended,
  });
  const changes = changesOf(customers, placedBy(settings, part), { part });
  await Promise.all(storeChanges(sql, settings, changes));
  return { bands: changes.bands, any: true, gone, more };
}

/** What concerns all customers becomes a row for each. */
const spread = (sql: Statements, { insightId, isNew }: Settings & { readonly isNew: boolean }) => sql`
  /* admitBatch: spread settlements */
  with whole as (delete from settlement where insight_id = ${insightId} and customer_id is null returning 1)
  insert into settlement (insight_id, customer_id, kind)
  select ${insightId}, customer_id, 'changed' from (
    select customer_id from waiting_queue where insight_id = ${insightId}
    union
    select customer_id from customer_lane where insight_id = ${insightId} and state <> 'dormant') c
  where ${isNew}::boolean or exists (select from whole)`;

const takeRows = (sql: Statements, insightId: string) => sql<SettlementRow[]>`
  /* admitBatch: take settlements */
  with taken as (
    delete from settlement where number in (
      select number from settlement
      where insight_id = ${insightId} and customer_id is not null
      order by number limit ${mostRows})
    returning *)
  select
    customer_id as "customerId",
    kind,
    agenda_id as "agendaId",
    attempt,
    promoted,
    need,
    priority,
    extract(epoch from time)::float8 as time
  from taken order by number`;

const becomeDue = (sql: Statements, { insightId, now }: Settings) => sql<CameRow[]>`
  /* admitBatch: become due */
  update ready_agenda set is_due = true where agenda_id in (
    select agenda_id from ready_agenda
    where insight_id = ${insightId} and not is_due and ready_time <= to_timestamp(${now})
    order by ready_time limit ${mostRows})
  returning customer_id as "customerId", promoted, need, priority`;

/** Agendas that waited long enough in their band go up one. */
const climb = (sql: Statements, insightId: string, before: number) => sql<CameRow[]>`
  /* admitBatch: climb */
  update ready_agenda set promoted = promoted + 1, moved_time = clock_timestamp() where agenda_id in (
    select r.agenda_id
    from (
        select customer_id, promoted, need, priorities from waiting_queue
        where insight_id = ${insightId} and level > 0 and head_moved_time <= to_timestamp(${before})
        order by head_moved_time limit ${mostClimbing}) q
      cross join unnest(q.priorities) p(priority)
      cross join lateral (
        select agenda_id, moved_time from ready_agenda
        where is_due and insight_id = ${insightId} and customer_id = q.customer_id
          and promoted = q.promoted and need = q.need and priority = p.priority
        order by ready_time, agenda_id limit ${mostClimbing}) r
    where r.moved_time <= to_timestamp(${before}))
  returning customer_id as "customerId", promoted, need, priority`;

/** The first Agenda of each priority tells where its queue stands. */
async function readFirstOfEach(
  sql: Statements,
  insightId: string,
  customers: ReadonlyMap<string, LoadedCustomer>,
): Promise<void> {
  const queues = [...customers.values()].flatMap((customer) => [...customer.queues.values()]);
  await readHeads(
    sql,
    insightId,
    queues.flatMap((queue) => queue.heads.map((heads) => ({ queue, heads, most: 1 }))),
  );
}

interface EndedRow {
  agendaId: string;
  customerId: string;
  agendaType: string;
  outcome: string | null;
  seconds: number;
  epoch: number;
  need: string;
  level: number;
  cost: number;
  actualCost: number;
  weight: number;
  total: number | null;
}

/** An Agenda that ended, as the rules take it, with what it really cost. */
interface Ended {
  readonly id: string;
  readonly cost: number;
  readonly item: FairShareState['running'][number];
}

/**
 * What Agendas that ended really cost; what is learned of their durations is written. An Agenda that was charged by
 * tags that are gone is left out.
 */
async function takeEnds(sql: Statements, settings: Settings, rows: readonly SettlementRow[]): Promise<Ended[]> {
  const ends = rows
    .filter(({ kind }) => kind === 'ended')
    .map(({ agendaId, attempt, time }) => ({ agendaId, attempt, time }));
  if (ends.length === 0) return [];
  const ended = await sql<EndedRow[]>`
    /* admitBatch: ended */
    update admission a set
      ended_time = to_timestamp(e.time),
      seconds = e.seconds,
      actual_cost = case when a.cost_model = 'shareTime' then a.cost * e.seconds / a.expected_seconds else a.cost end
    from (
      select
        e.*,
        greatest(0, e.time - extract(epoch from b.admitted_time)::float8) as seconds,
        p.processing_state_message as outcome
      from json_to_recordset(${JSON.stringify(ends)}::text::json) as e("agendaId" text, attempt int, time float8)
        join admission b on b.agenda_id = e."agendaId" and b.attempt = e.attempt
        left join agenda_progress p on p.agenda_id = e."agendaId") e
    where a.agenda_id = e."agendaId" and a.attempt = e.attempt
    returning
      a.agenda_id as "agendaId",
      a.customer_id as "customerId",
      a.agenda_type as "agendaType",
      e.outcome,
      a.seconds,
      a.epoch,
      a.need,
      a.level,
      a.cost,
      a.actual_cost as "actualCost",
      a.weight,
      a.total`;
  const order = new Map(ends.map(({ agendaId }, index) => [agendaId, index]));
  const inOrder = ended.toSorted((a, b) => (order.get(a.agendaId) as number) - (order.get(b.agendaId) as number));
  // How long a run takes is learned from runs that came to their end.
  await learnFrom(
    sql,
    settings,
    inOrder.filter(({ outcome }) => outcome === 'succeeded'),
  );
  return inOrder.filter(({ epoch, total }) => epoch === settings.epoch && total !== null).map(endedItem);
}

const endedItem = (row: EndedRow): Ended => ({
  id: row.agendaId,
  cost: row.actualCost,
  item: {
    id: row.agendaId,
    customerId: row.customerId,
    readyTime: 0,
    cost: row.cost,
    need: amountsOfKey(row.need),
    band: row.level,
    weightThen: row.weight,
    totalThen: row.total as number,
    startTime: 0,
  },
});

/** A learned duration; the customer '' stands for all. */
interface Learned extends Estimate {
  readonly customerId: string;
  readonly agendaType: string;
}

async function learnFrom(sql: Statements, { insightId }: Settings, ended: readonly EndedRow[]): Promise<void> {
  if (ended.length === 0) return;
  const known = await sql<Learned[]>`
    /* admitBatch: learned */
    select customer_id as "customerId", agenda_type as "agendaType", seconds, samples from learned_duration
    where insight_id = ${insightId}
      and agenda_type = any(${[...new Set(ended.map((row) => row.agendaType))]})
      and customer_id = any(${['', ...new Set(ended.map((row) => row.customerId))]})`;
  const estimates = new Map<string, Learned>();
  const key = (customer: string, type: string) => JSON.stringify([customer, type]);
  for (const row of known) estimates.set(key(row.customerId, row.agendaType), row);
  const changed = new Set<string>();
  for (const { customerId: own, agendaType, seconds } of ended) {
    for (const customerId of [own, '']) {
      const name = key(customerId, agendaType);
      estimates.set(name, { customerId, agendaType, ...learn(estimates.get(name), seconds) });
      changed.add(name);
    }
  }
  const rows = [...changed].map((name) => estimates.get(name));
  await sql`
    /* admitBatch: learn */
    insert into learned_duration (insight_id, customer_id, agenda_type, seconds, samples)
    select ${insightId}, l.* from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as l("customerId" text, "agendaType" text, seconds float8, samples int)
    on conflict (insight_id, agenda_type, customer_id) do update set
      seconds = excluded.seconds,
      samples = excluded.samples,
      updated_time = clock_timestamp()`;
}

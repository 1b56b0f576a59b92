/**
 * Takes in what happened since the last batch: Agendas that came, went or became due, costs that are known now, settings that changed.
 * Each settlement row names a customer; where that customer stands is worked out anew from the record, so that a row may be taken in late, or
 * together with others, and the outcome is the same.
 */

import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import { type Estimate, learn } from '../../scheduling/index.ts';
import { amountsOfKey } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { expectHeads, type LoadedCustomer, loadCustomers, readHeads } from './customers.ts';
import { changesOf, itemsOf, openPart, placedBy, placedByTime } from './rules-view.ts';
import { isFairShare, type Settings } from './settings.ts';
import { storeChanges } from './store.ts';

/** Most settlement rows of one batch: what keeps it short. */
const mostRows = 600;
/** Most Agendas that climb a band in one batch, of one queue. */
const mostClimbing = 100;

interface Row {
  customer_id: string;
  kind: 'ready' | 'gone' | 'ended' | 'changed';
  agenda_id: string | null;
  attempt: number | null;
  promoted: number | null;
  need: string | null;
  priority: number | null;
  /** Epoch seconds. */
  time: number;
}

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
export async function fold(sql: Statements, settings: Settings & { readonly isNew: boolean }): Promise<Folded> {
  const { insightId, now } = settings;
  const [, , , rows, due, climbed] = await Promise.all([
    settings.isNew
      ? sql`/* admitBatch: forget lanes */ delete from customer_lane where insight_id = ${insightId}`
      : undefined,
    settings.isNew
      ? sql`/* admitBatch: forget bands */ delete from insight_band where insight_id = ${insightId}`
      : undefined,
    // What concerns all customers becomes a row for each.
    sql`
      /* admitBatch: spread settlements */
      with whole as (delete from settlement where insight_id = ${insightId} and customer_id is null returning 1)
      insert into settlement (insight_id, customer_id, kind)
      select ${insightId}, customer_id, 'changed' from (
        select customer_id from waiting_queue where insight_id = ${insightId}
        union select customer_id from customer_lane where insight_id = ${insightId} and state <> 'dormant') c
      where ${settings.isNew}::boolean or exists (select from whole)`,
    sql<Row[]>`
      /* admitBatch: take settlements */
      with taken as (
        delete from settlement where number in (
          select number from settlement where insight_id = ${insightId} and customer_id is not null order by number limit ${mostRows})
        returning *)
      select customer_id, kind, agenda_id, attempt, promoted, need, priority, extract(epoch from time)::float8 as time from taken order by number`,
    sql<Pick<Row, 'customer_id' | 'promoted' | 'need' | 'priority'>[]>`
      /* admitBatch: become due */
      update ready_agenda set is_due = true where agenda_id in (
        select agenda_id from ready_agenda where insight_id = ${insightId} and not is_due and ready_time <= to_timestamp(${now})
        order by ready_time limit ${mostRows})
      returning customer_id, promoted, need, priority`,
    settings.algorithm === 'Priority' && settings.options.promoteAfter !== undefined
      ? climb(sql, insightId, now - settings.options.promoteAfter)
      : [],
  ]);
  const came = [...rows, ...due, ...climbed];
  const more = rows.length === mostRows || due.length === mostRows;
  const gone = rows.flatMap(({ kind, agenda_id: id }) => (kind === 'gone' && id !== null ? [id] : []));
  if (came.length === 0) return { bands: settings.bands, any: false, gone, more };

  const customers = await loadCustomers(sql, settings, [...new Set(came.map((row) => row.customer_id))]);
  for (const { customer_id: id, promoted, need, priority } of came) {
    if (promoted === null || need === null || priority === null) continue;
    expectHeads(customers.get(id) as LoadedCustomer, { promoted, need, priority });
  }
  const ended = await takeEnds(sql, settings, rows);
  const queues = [...customers.values()].flatMap((customer) => [...customer.queues.values()]);
  await readHeads(
    sql,
    settings,
    queues.flatMap((queue) => queue.heads.map((heads) => ({ queue, heads, most: 1 }))),
  );
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

/** Agendas that waited long enough in their band go up one. */
function climb(sql: Statements, insightId: string, before: number) {
  return sql<Pick<Row, 'customer_id' | 'promoted' | 'need' | 'priority'>[]>`
    /* admitBatch: climb */
    update ready_agenda set promoted = promoted + 1, moved_time = clock_timestamp() where agenda_id in (
      select r.agenda_id
      from (select customer_id, promoted, need, priorities from waiting_queue
          where insight_id = ${insightId} and level > 0 and head_moved_time <= to_timestamp(${before}) order by head_moved_time limit ${mostClimbing}) q
        cross join unnest(q.priorities) p(priority)
        cross join lateral (select agenda_id, moved_time from ready_agenda
          where is_due and insight_id = ${insightId} and customer_id = q.customer_id and promoted = q.promoted and need = q.need
            and priority = p.priority order by ready_time, agenda_id limit ${mostClimbing}) r
      where r.moved_time <= to_timestamp(${before}))
    returning customer_id, promoted, need, priority`;
}

interface EndedRow {
  agenda_id: string;
  customer_id: string;
  agenda_type: string;
  outcome: string | null;
  seconds: number;
  epoch: number;
  need: string;
  level: number;
  cost: number;
  actual_cost: number;
  weight: number;
  total: number | null;
}

/** What Agendas that ended really cost; what is learned of their durations is written. Those charged by tags that are gone are left out. */
async function takeEnds(sql: Statements, settings: Settings, rows: readonly Row[]) {
  const ends = rows
    .filter(({ kind }) => kind === 'ended')
    .map(({ agenda_id, attempt, time }) => ({ agenda_id, attempt, time }));
  if (ends.length === 0) return [];
  const ended = await sql<EndedRow[]>`
    /* admitBatch: ended */
    update admission a set ended_time = to_timestamp(e.time), seconds = e.seconds,
      actual_cost = case when a.cost_model = 'shareTime' then a.cost * e.seconds / a.expected_seconds else a.cost end
    from (select e.*, greatest(0, e.time - extract(epoch from b.admitted_time)::float8) as seconds, p.processing_state_message as outcome
        from json_to_recordset(${JSON.stringify(ends)}::text::json) as e(agenda_id text, attempt int, time float8)
          join admission b using (agenda_id, attempt) left join agenda_progress p on p.agenda_id = e.agenda_id) e
    where a.agenda_id = e.agenda_id and a.attempt = e.attempt
    returning a.agenda_id, a.customer_id, a.agenda_type, e.outcome, a.seconds, a.epoch, a.need, a.level, a.cost, a.actual_cost, a.weight, a.total`;
  const place = new Map(ends.map(({ agenda_id }, index) => [agenda_id, index]));
  const inOrder = ended.toSorted((a, b) => (place.get(a.agenda_id) as number) - (place.get(b.agenda_id) as number));
  // How long a run takes is learned from runs that came to their end.
  await learnFrom(
    sql,
    settings,
    inOrder.filter(({ outcome }) => outcome === 'succeeded'),
  );
  return inOrder
    .filter(({ epoch, total }) => epoch === settings.epoch && total !== null)
    .map((row) => ({
      id: row.agenda_id,
      cost: row.actual_cost,
      item: {
        ...{
          id: row.agenda_id,
          customerId: row.customer_id,
          readyTime: 0,
          cost: row.cost,
          need: amountsOfKey(row.need),
          band: row.level,
        },
        ...{ weightThen: row.weight, totalThen: row.total as number, startTime: 0 },
      } satisfies FairShareState['running'][number],
    }));
}

async function learnFrom(sql: Statements, { insightId }: Settings, ended: readonly EndedRow[]): Promise<void> {
  if (ended.length === 0) return;
  const known = await sql<(Estimate & { customer_id: string; agenda_type: string })[]>`
    /* admitBatch: learned */
    select customer_id, agenda_type, seconds, samples from learned_duration
    where insight_id = ${insightId} and agenda_type = any(${[...new Set(ended.map((row) => row.agenda_type))]})
      and customer_id = any(${['', ...new Set(ended.map((row) => row.customer_id))]})`;
  const estimates = new Map<string, Estimate & { customer_id: string; agenda_type: string }>();
  const key = (customer: string, type: string) => JSON.stringify([customer, type]);
  for (const row of known) estimates.set(key(row.customer_id, row.agenda_type), row);
  const changed = new Set<string>();
  for (const { customer_id, agenda_type, seconds } of ended) {
    for (const customer of [customer_id, '']) {
      const name = key(customer, agenda_type);
      estimates.set(name, { customer_id: customer, agenda_type, ...learn(estimates.get(name), seconds) });
      changed.add(name);
    }
  }
  await sql`
    /* admitBatch: learn */
    insert into learned_duration (insight_id, customer_id, agenda_type, seconds, samples)
    select ${insightId}, l.* from json_to_recordset(${JSON.stringify([...changed].map((name) => estimates.get(name)))}::text::json)
      as l(customer_id text, agenda_type text, seconds float8, samples int)
    on conflict (insight_id, agenda_type, customer_id) do update set seconds = excluded.seconds, samples = excluded.samples,
      updated_time = clock_timestamp()`;
}

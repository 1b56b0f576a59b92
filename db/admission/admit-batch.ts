/**
 * Admission: the one transaction that turns waiting rows into running ones. It holds the pool's advisory lock, so what it counts stays
 * true until it commits, whoever else admits for that pool.
 *
 *   lock the pool ─▶ a repeat of the batch? its stored answer
 *                 ─▶ fold in what happened since (db/admission/fold-settlements.ts)
 *                 ─▶ what is free, by every limit (settings.ts, free.ts)
 *                 ─▶ the algorithm chooses among the customers that can be next (candidates.ts, decide.ts; the rules are in scheduling/)
 *                 ─▶ waiting rows become running ones, tags and the batch are stored
 *
 * Tags, clocks and learned costs are written here and nowhere else. A crash at any point leaves the record as it was before or after all of it.
 */

import { amountsOfKey, plus } from '../../scheduling/need.ts';
import type { Database, Statements } from '../connect.ts';
import { decide, type Verdict } from './decide.ts';
import { fold } from './fold-settlements.ts';
import { freeFor } from './free-capacity.ts';
import { readSettings, type Settings } from './settings.ts';
import { storeChanges } from './store.ts';
import { storeAdmissions } from './store-admissions.ts';

/** Most Agendas of one batch: the pool is locked for under a tenth of a second. Twice as many take twice as long, and no more go in a second. */
export const mostPerBatch = 250;

export interface BatchAnswer {
  readonly admitted: number;
  /** There is more to fold in, or more that may be admitted: another batch at once. */
  readonly more: boolean;
  /** Time alone lets something in then. */
  readonly againInSeconds?: number;
  /** Other Insights of the pool that may use what this one leaves. */
  readonly wake?: readonly string[];
  /** It was decided before, and counted then. */
  readonly repeated?: true;
  /** How many were admitted by reason. */
  readonly reasons?: Readonly<Record<string, number>>;
}

/** In the order in which a need names them. */
const resources = ['slots', 'cpu', 'memory', 'gpu'] as const;
const nothing: BatchAnswer = { admitted: 0, more: false };

/** Times that a batch is decided anew because an Agenda it had chosen was cancelled meanwhile. */
const mostRepeats = 5;

/** What was chosen does not wait any more. */
class ChosenGone extends Error {
  override readonly name = 'ChosenGone';

  constructor() {
    super('Agendas that had been chosen were cancelled meanwhile; the batch is decided anew');
  }
}

/** Admits what the Insight's algorithm chooses and the limits allow. Idempotent by `batchId`: a repeat changes nothing, and asks for another batch. */
export async function admitBatch(
  database: Database,
  batch: { insightId: string; batchId: string },
): Promise<BatchAnswer> {
  for (let repeats = 0; ; repeats++) {
    try {
      return (await database.$client.begin((sql) => admit(sql, batch))) as BatchAnswer;
    } catch (error) {
      if (!(error instanceof ChosenGone) || repeats === mostRepeats) throw error;
    }
  }
}

async function admit(
  sql: Statements,
  { insightId, batchId }: { insightId: string; batchId: string },
): Promise<BatchAnswer> {
  await sql`
    /* admitBatch: lock */
    select pg_advisory_xact_lock(hashtextextended('resource-pool:' || resource_pool_id, 0)) from insight where id = ${insightId}`;
  // Statements of their own, after the lock: each sees what the lock's last holder committed.
  const [[stored], settings] = await Promise.all([
    sql<
      { answer: BatchAnswer }[]
    >`/* admitBatch: stored answer */ select answer from admission_batch where id = ${batchId}`,
    readSettings(sql, { insightId, batchId }),
    sql`
      /* admitBatch: tick */
      update insight_wake set last_tick_time = clock_timestamp(), missed_sweeps = 0 where insight_id = ${insightId}`,
  ]);
  // Temporal's server may have been put back to an older state: then its ticks repeat ids, one by one, and what waits now is none of their
  // answers' business. Each calls for the next, until one is new.
  if (stored !== undefined) return { ...stored.answer, more: true, repeated: true };
  if (settings === undefined) return nothing;

  const folded = await fold(sql, settings);
  const current: Settings = { ...settings, bands: folded.bands, ...stillHeld(settings, folded.gone) };
  const verdict = folded.more ? undefined : await decideWithin(sql, current);
  const admitted = verdict?.admitted.length ?? 0;
  const again = againOf(await nextDue(sql, current), current, admitted);
  const gaveUp = settings.reservation.held !== null && (verdict ?? current).reservation.held === null;
  const wake = folded.any || admitted > 0 || gaveUp ? await othersThatWait(sql, current, verdict) : [];
  const answer: BatchAnswer = {
    admitted,
    more: folded.more || (verdict?.more ?? false),
    ...(again === undefined ? {} : { againInSeconds: again }),
    ...(wake.length === 0 ? {} : { wake }),
    ...(admitted === 0 ? {} : { reasons: countReasons(verdict?.admitted ?? []) }),
  };
  await storeVerdict(sql, current, verdict, answer);
  return answer;
}

function countReasons(admitted: Verdict['admitted']): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { decision } of admitted) counts[decision.reason.code] = (counts[decision.reason.code] ?? 0) + 1;
  return counts;
}

/** A pause, or the end of the wait, gives up what is held; a limit that is reached does not: it passes. */
function stillHeld(
  { reservation, heldNeed, isPaused }: Settings,
  gone: readonly string[],
): Pick<Settings, 'reservation' | 'heldNeed'> {
  const { held, bypasses } = reservation;
  if (held !== null && !isPaused && !gone.includes(held)) return { reservation, heldNeed };
  return { reservation: { held: null, bypasses }, heldNeed: null };
}

/** Undefined when there is room for nothing, or nothing waits. */
async function decideWithin(sql: Statements, settings: Settings): Promise<Verdict | undefined> {
  const most = Math.min(settings.mostAgendas, mostPerBatch);
  if (most === 0) return undefined;
  const free = await freeFor(sql, settings);
  const verdict = await decide(sql, settings, free, most);
  const full = verdict.admitted.length === mostPerBatch && mostPerBatch < settings.mostAgendas;
  return { ...verdict, more: verdict.more || full };
}

/** Writes what was decided; the chosen stop waiting first, which waits for cancels that are under way. */
async function storeVerdict(
  sql: Statements,
  settings: Settings,
  verdict: Verdict | undefined,
  answer: BatchAnswer,
): Promise<void> {
  const { insightId, batchId, algorithm, costModel, epoch, admissions } = settings;
  const chosen = verdict?.admitted ?? [];
  if (chosen.length > 0) {
    const gone = await sql`
      /* admitBatch: take from waiting */
      delete from ready_agenda where agenda_id = any(${chosen.map(({ head }) => head.agendaId)})`;
    if (gone.count !== chosen.length) throw new ChosenGone();
  }
  const { reservation, heldNeed, pending } = verdict ?? settings;
  const memory = { bypasses: reservation.bypasses, pending };
  await Promise.all([
    ...(verdict === undefined ? [] : storeChanges(sql, settings, verdict.changes)),
    ...storeAdmissions(sql, settings, chosen),
    sql`
      /* admitBatch: store state */
      insert into insight_state (insight_id, algorithm, cost_model, epoch, admissions, held_agenda_id, held_need, memory)
      values (${insightId}, ${algorithm}, ${costModel}, ${epoch}, ${admissions + chosen.length}, ${reservation.held}, ${heldNeed},
        ${JSON.stringify(memory)}::text::json)
      on conflict (insight_id) do update set algorithm = excluded.algorithm, cost_model = excluded.cost_model, epoch = excluded.epoch,
        admissions = excluded.admissions, held_agenda_id = excluded.held_agenda_id, held_need = excluded.held_need, memory = excluded.memory`,
    sql`
      /* admitBatch: store answer */
      insert into admission_batch (id, insight_id, answer) values (${batchId}, ${insightId}, ${JSON.stringify(answer)}::text::json)`,
  ]);
}

/** Seconds until the next Agenda becomes due. */
async function nextDue(sql: Statements, { insightId, now }: Settings): Promise<number | undefined> {
  const [next] = await sql<{ time: number }[]>`
    /* admitBatch: next due */
    select extract(epoch from ready_time)::float8 as time from ready_agenda where insight_id = ${insightId} and not is_due order by ready_time limit 1`;
  return next && Math.max(0.001, next.time - now);
}

/** The sooner of what is due next and what the rate lets in next, once it is used up. */
function againOf(due: number | undefined, { rate, isPaused }: Settings, admitted: number): number | undefined {
  const byRate = rate !== undefined && !isPaused && admitted >= rate.left ? rate.again : undefined;
  return due === undefined || byRate === undefined ? (due ?? byRate) : Math.min(due, byRate);
}

/** Insights of the pool with waiting Agendas, when something is left for them. Asked for only when something changed here, so that two never wake each other in turn. */
async function othersThatWait(
  sql: Statements,
  { insightId, resourcePoolId, capacity, inUse }: Settings,
  verdict: Verdict | undefined,
): Promise<string[]> {
  const names = resources.filter((name) => capacity[name] !== undefined);
  const taken = (verdict?.admitted ?? []).map(({ queue }) => amountsOfKey(queue.need)).reduce(plus, inUse);
  const left = names.map((name) => (capacity[name] as number) - taken[name]);
  if (names.length === 0 || left.every((amount) => amount <= 0)) return [];
  const fitting = names.map((name, index) => {
    const amount = sql`split_part(q.need, ',', ${resources.indexOf(name) + 1}::int)::float8`;
    return sql`and (${amount} = 0 or ${amount} <= ${left[index] as number}::float8)`;
  });
  const rows = await sql<{ id: string }[]>`
    /* admitBatch: others */
    select id from insight i where i.resource_pool_id = ${resourcePoolId} and i.id <> ${insightId}
      and exists (select from waiting_queue q where q.insight_id = i.id and q.active ${fitting})`;
  return rows.map(({ id }) => id);
}

/**
 * Free places of Insights: the least of what queueSize, the Insight's maximumRunning and the pool's slots leave.
 * Counted from rows; null limits do not limit.
 */
export function headroomOf(sql: Statements | Database['$client']) {
  return sql`case when i.paused or p.paused then 0 else least(
    i.queue_size - (select count(*) from running_agenda r where r.insight_id = i.id and r.left_queue_time is null),
    i.maximum_running - (select count(*) from running_agenda r where r.insight_id = i.id),
    ceil((p.capacity->>'slots')::float8 - (select coalesce(sum(r.slots), 0) from running_agenda r where r.resource_pool_id = i.resource_pool_id))
  ) end::int`;
}

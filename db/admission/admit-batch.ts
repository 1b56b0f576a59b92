/**
 * Admission: the one transaction that turns waiting rows into running ones. It holds the pool's lock, so what it counts
 * stays true until it commits, whoever else admits for that pool. `admit` below is the whole of it, step by step; each
 * step is a file of this folder, and the rules are in scheduling/.
 *
 * Tags, clocks and learned costs are written here and nowhere else. A crash at any point leaves the record as it was
 * before or after all of it.
 */

import { amountsOf, amountsOfKey, minus, plus, resourceNames } from '../../scheduling/need.ts';
import { type Database, lockPool, type Statements } from '../connect.ts';
import { type Admitted, decide, type Verdict } from './decide.ts';
import { type Folded, foldSettlements } from './fold-settlements.ts';
import { freeFor } from './free-capacity.ts';
import { readSettings, type Settings } from './settings.ts';
import { storeChanges } from './store.ts';
import { storeAdmissions } from './store-admissions.ts';
import { insightsThatFit } from './wake.ts';

/**
 * Most Agendas of one batch: the pool is locked for under a tenth of a second. Twice as many take twice as long, and no
 * more go in a second.
 */
export const mostPerBatch = 250;

/** What a batch answers; a repeat of it answers the same, and asks for another batch. */
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

const nothing: BatchAnswer = { admitted: 0, more: false };

/** Names a batch; the same id is the same batch. */
interface Batch {
  readonly insightId: string;
  readonly batchId: string;
}

/** Times that a batch is decided anew because an Agenda it had chosen was cancelled meanwhile. */
const mostRepeats = 5;

/** What was chosen does not wait any more. */
class ChosenGone extends Error {
  override readonly name = 'ChosenGone';

  constructor() {
    super('Agendas that had been chosen were cancelled meanwhile; the batch is decided anew');
  }
}

/** Admits what the Insight's algorithm chooses and the limits allow. Idempotent by `batchId`. */
export async function admitBatch(database: Database, batch: Batch): Promise<BatchAnswer> {
  for (let repeats = 0; ; repeats++) {
    try {
      return (await database.$client.begin((sql) => admit(sql, batch))) as BatchAnswer;
    } catch (error) {
      if (!(error instanceof ChosenGone) || repeats === mostRepeats) throw error;
    }
  }
}

async function admit(sql: Statements, batch: Batch): Promise<BatchAnswer> {
  // 1. Lock the pool. What follows are statements of their own: each sees what the lock's last holder committed.
  await lockPool<Promise<unknown>>(sql, batch.insightId);

  // 2. A repeat of the batch gets the stored answer. 3. Read the settings the batch goes by. Both in one round trip.
  const [stored, settings] = await Promise.all([
    storedAnswer(sql, batch),
    readSettings(sql, batch),
    noteTick(sql, batch.insightId),
  ]);
  // Temporal's server may have been put back to an older state. Then its ticks repeat ids, one by one, and what waits
  // now is none of their answers' business: each calls for the next, until one is new.
  if (stored !== undefined) return { ...stored, more: true, repeated: true };
  if (settings === undefined) return nothing;

  // 4. Fold in what happened since the last batch. Nothing is decided while there is more of that.
  const folded = await foldSettlements(sql, settings);
  const current: Settings = { ...settings, bands: folded.bands, ...stillHeld(settings, folded.gone) };
  const most = folded.more ? 0 : Math.min(current.mostAgendas, mostPerBatch);

  // 5. What is free, by every limit. 6. The algorithm chooses among the customers that can be next.
  const verdict = most === 0 ? undefined : await decide(sql, current, await freeFor(sql, current), most);

  // 7. What comes next: when to ask again, whom to wake.
  const answer = await answerOf(sql, current, { heldBefore: settings.reservation.held, folded, verdict });

  // 8. Waiting rows become running ones; tags, reasons and the answer are stored.
  await store(sql, current, verdict, answer);
  return answer;
}

async function storedAnswer(sql: Statements, { batchId }: Batch): Promise<BatchAnswer | undefined> {
  const [stored] = await sql<{ answer: BatchAnswer }[]>`
    /* admitBatch: stored answer */
    select answer from admission_batch where id = ${batchId}`;
  return stored?.answer;
}

/** Tells the sweep that admission looked. */
const noteTick = (sql: Statements, insightId: string) => sql`
  /* admitBatch: tick */
  update insight_wake set last_tick_time = clock_timestamp(), missed_sweeps = 0 where insight_id = ${insightId}`;

/** A pause, or the end of the wait, gives up what is held; a limit that is reached does not: it passes. */
function stillHeld(
  { reservation, heldNeed, isPaused }: Settings,
  gone: readonly string[],
): Pick<Settings, 'reservation' | 'heldNeed'> {
  const { held, bypasses } = reservation;
  if (held !== null && !isPaused && !gone.includes(held)) return { reservation, heldNeed };
  return { reservation: { held: null, bypasses }, heldNeed: null };
}

/** What a batch came to. */
interface Outcome {
  /** The Agenda that capacity was held for when the batch began. */
  readonly heldBefore: string | null;
  readonly folded: Folded;
  /** Undefined when there is room for nothing. */
  readonly verdict: Verdict | undefined;
}

async function answerOf(
  sql: Statements,
  settings: Settings,
  { heldBefore, folded, verdict }: Outcome,
): Promise<BatchAnswer> {
  const chosen = verdict?.admitted ?? [];
  const full = chosen.length === mostPerBatch && mostPerBatch < settings.mostAgendas;
  const again = againOf(await nextDue(sql, settings), settings, chosen.length);
  const gaveUp = heldBefore !== null && (verdict ?? settings).reservation.held === null;
  const wake = folded.any || chosen.length > 0 || gaveUp ? await othersToWake(sql, settings, chosen) : [];
  return {
    admitted: chosen.length,
    more: folded.more || (verdict?.more ?? false) || full,
    ...(again === undefined ? {} : { againInSeconds: again }),
    ...(wake.length === 0 ? {} : { wake }),
    ...(chosen.length === 0 ? {} : { reasons: countReasons(chosen) }),
  };
}

/** Seconds until the next Agenda becomes due. */
async function nextDue(sql: Statements, { insightId, now }: Settings): Promise<number | undefined> {
  const [next] = await sql<{ time: number }[]>`
    /* admitBatch: next due */
    select extract(epoch from ready_time)::float8 as time from ready_agenda
    where insight_id = ${insightId} and not is_due
    order by ready_time limit 1`;
  return next && Math.max(0.001, next.time - now);
}

/** The sooner of what is due next and what the rate lets in next, once it is used up. */
function againOf(due: number | undefined, { rate, isPaused }: Settings, admitted: number): number | undefined {
  const byRate = rate !== undefined && !isPaused && admitted >= rate.left ? rate.again : undefined;
  return due === undefined || byRate === undefined ? (due ?? byRate) : Math.min(due, byRate);
}

/**
 * Insights of the pool with waiting Agendas, when something is left for them. Asked for only when something changed
 * here, so that two never wake each other in turn.
 */
async function othersToWake(
  sql: Statements,
  settings: Settings,
  admitted: readonly Admitted[],
): Promise<readonly string[]> {
  const taken = admitted.map(({ queue }) => amountsOfKey(queue.need)).reduce(plus, settings.inUse);
  const left = minus(amountsOf(settings.capacity), taken);
  const limited = resourceNames.filter((name) => settings.capacity[name] !== undefined);
  return limited.every((name) => left[name] <= 0) ? [] : insightsThatFit(sql, settings, left);
}

function countReasons(admitted: readonly Admitted[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { decision } of admitted) counts[decision.reason.code] = (counts[decision.reason.code] ?? 0) + 1;
  return counts;
}

/** Writes what was decided; the chosen stop waiting first, which waits for cancels that are under way. */
async function store(
  sql: Statements,
  settings: Settings,
  verdict: Verdict | undefined,
  answer: BatchAnswer,
): Promise<void> {
  const chosen = verdict?.admitted ?? [];
  if (chosen.length > 0) await takeFromWaiting(sql, chosen);
  await Promise.all([
    ...(verdict === undefined ? [] : storeChanges(sql, settings, verdict.changes)),
    ...storeAdmissions(sql, settings, chosen),
    storeState(sql, settings, verdict),
    storeAnswer(sql, settings, answer),
  ]);
}

/** @throws ChosenGone */
async function takeFromWaiting(sql: Statements, chosen: readonly Admitted[]): Promise<void> {
  const gone = await sql`
    /* admitBatch: take from waiting */
    delete from ready_agenda where agenda_id = any(${chosen.map(({ head }) => head.agendaId)})`;
  if (gone.count !== chosen.length) throw new ChosenGone();
}

function storeState(sql: Statements, settings: Settings, verdict: Verdict | undefined) {
  const { insightId, algorithm, costModel, epoch, admissions } = settings;
  const { reservation, heldNeed, pending } = verdict ?? settings;
  const memory = { bypasses: reservation.bypasses, pending };
  return sql`
    /* admitBatch: store state */
    insert into insight_state (insight_id, algorithm, cost_model, epoch, admissions, held_agenda_id, held_need, memory)
    values (
      ${insightId},
      ${algorithm},
      ${costModel},
      ${epoch},
      ${admissions + (verdict?.admitted.length ?? 0)},
      ${reservation.held},
      ${heldNeed},
      ${JSON.stringify(memory)}::text::json)
    on conflict (insight_id) do update set
      algorithm = excluded.algorithm,
      cost_model = excluded.cost_model,
      epoch = excluded.epoch,
      admissions = excluded.admissions,
      held_agenda_id = excluded.held_agenda_id,
      held_need = excluded.held_need,
      memory = excluded.memory`;
}

const storeAnswer = (sql: Statements, { insightId, batchId }: Settings, answer: BatchAnswer) => sql`
  /* admitBatch: store answer */
  insert into admission_batch (id, insight_id, answer)
  values (${batchId}, ${insightId}, ${JSON.stringify(answer)}::text::json)`;

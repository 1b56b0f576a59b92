/**
 * Lets the Insight's algorithm choose among the customers that can be next, and reads on where what was read does not
 * tell who is next. Nothing is written here.
 */

import type { PartDecision, PartReservation } from '../../scheduling/fair-share-part.ts';
import type { Decision } from '../../scheduling/index.ts';
import { type Amounts, amountsOfKey, minus } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { type Candidates, findCandidates, findTurns } from './candidates.ts';
import { type Chooser, shareChooser, turnChooser } from './choosers.ts';
import type { StoredQueue } from './customers.ts';
import { type Head, queueKey } from './heads.ts';
import { readPoolCustomers, readRunning, readUnits } from './held-and-running.ts';
import { type LoadedAgenda, LoadedQueues } from './loaded-queues.ts';
import type { Changes } from './rules-view.ts';
import { isFairShare, type Settings } from './settings.ts';

/** Times that more heads are read in one batch. */
const mostRefills = 8;
/** Times that more customers are read in one batch. */
const mostJoins = 4;

/** An Agenda that goes, with what the record is to say of it. */
export interface Admitted {
  readonly decision: Decision & Partial<PartDecision>;
  readonly head: Head;
  readonly queue: StoredQueue;
}

/** What a batch decided, and what is to be written of it. */
export interface Verdict {
  readonly admitted: readonly Admitted[];
  readonly changes: Changes;
  readonly reservation: PartReservation;
  /** What the Agenda needs that capacity is held for. */
  readonly heldNeed: string | null;
  readonly pending: readonly string[];
  /** There was room for more than could be told without reading on. */
  readonly more: boolean;
}

/** What a batch has at hand while it chooses. */
interface Choice {
  readonly loaded: LoadedQueues;
  readonly chooser: Chooser;
  candidates: Candidates;
}

/** Chooses at most `most` Agendas that fit what is free. */
export async function decide(sql: Statements, settings: Settings, free: Amounts, most: number): Promise<Verdict> {
  const choice = isFairShare(settings.algorithm)
    ? await openShares(sql, settings, { free, most })
    : await openTurns(sql, settings, { free, most });
  const { admitted, stopped } = await chooseAll(sql, settings, choice, { free, most });
  const { chooser, loaded, candidates } = choice;
  const changes = chooser.changes(new Set(admitted.map(({ head }) => head.agendaId)));
  const reservation = chooser.reservation();
  const held = reservation.held === null ? undefined : loaded.agendas.get(reservation.held);
  // Some customers turned out to be held back. They took up room in what was read, so others were not read.
  const othersUnread = candidates.truncated && admitted.length < most && turnedInactive(changes, loaded);
  // Capacity is held for another unit than before. That unit may have all of the pool, not only its Insight's part.
  const holdsAnew =
    reservation.held !== null &&
    reservation.held !== settings.reservation.held &&
    settings.inUseHere.slots === 0 &&
    admitted.length === 0;
  return {
    admitted,
    changes,
    reservation,
    heldNeed: held?.queue.need ?? null,
    pending: chooser.pending(),
    more: stopped || othersUnread || holdsAnew,
  };
}

interface Room {
  readonly free: Amounts;
  readonly most: number;
}

/** Fairness and Priority: the customers at the front, the units that did not fit, and what runs where ends matter. */
async function openShares(sql: Statements, settings: Settings, room: Room): Promise<Choice> {
  const candidates = await findCandidates(sql, settings, room);
  const units = await readUnits(sql, settings);
  const loaded = new LoadedQueues(sql, settings, room.most);
  const [first, running] = await Promise.all([
    loaded.take(candidates.customerIds, units),
    candidates.needs > 1 || units.length > 0 ? readRunning(sql, settings) : [],
  ]);
  const chooser = shareChooser(settings, loaded, first, { leaving: candidates.leaving, running });
  return { loaded, chooser, candidates };
}

/** FirstInFirstOut and RoundRobin: the customers whose turn comes first. */
async function openTurns(sql: Statements, settings: Settings, room: Room): Promise<Choice> {
  const isRoundRobin = settings.algorithm === 'RoundRobin';
  const known = isRoundRobin ? await readPoolCustomers(sql, settings) : [];
  const candidates = isRoundRobin
    ? await findTurns(sql, settings, known, room.most)
    : await findCandidates(sql, settings, room);
  const loaded = new LoadedQueues(sql, settings, room.most);
  const first = await loaded.take(candidates.customerIds);
  return { loaded, chooser: turnChooser(settings, loaded, first, known, room.most), candidates };
}

/** One after the other. `stopped`: it ended because too much would have had to be read on. */
async function chooseAll(
  sql: Statements,
  settings: Settings,
  choice: Choice,
  { free, most }: Room,
): Promise<{ admitted: Admitted[]; stopped: boolean }> {
  const { loaded, chooser } = choice;
  const admitted: Admitted[] = [];
  const leaving = new Set(choice.candidates.leaving.map(({ customerId }) => customerId));
  let left = free;
  for (let joins = 0, refills = 0; admitted.length < most; ) {
    if (isBeyond(chooser, choice.candidates)) {
      if (joins++ === mostJoins) return { admitted, stopped: true };
      const current = { ...settings, bands: chooser.bands() };
      const room = { free: left, most: most - admitted.length };
      const known = { customerIds: [...loaded.customers.keys()], leaving: [...leaving] };
      choice.candidates = await findCandidates(sql, current, room, known);
      for (const { customerId } of choice.candidates.leaving) leaving.add(customerId);
      chooser.join(await loaded.take(choice.candidates.customerIds), choice.candidates.leaving);
      continue;
    }
    const decision = chooser.next(left, settings.now);
    if (decision === undefined) break;
    const agenda = loaded.agendas.get(decision.id) as LoadedAgenda;
    if (isBehindUnread(settings, agenda, choice.candidates)) return { admitted, stopped: true };
    admitted.push({ decision, head: agenda.head, queue: agenda.queue });
    left = minus(left, amountsOfKey(agenda.queue.need));
    // The one behind the next has to be known before the next goes.
    if (!loaded.chose(agenda)) continue;
    if (refills++ === mostRefills) return { admitted, stopped: true };
    chooser.add(await loaded.refill());
  }
  return { admitted, stopped: false };
}

/** Whether a clock came further than what was read reaches. */
function isBeyond(chooser: Pick<Chooser, 'clock'>, { horizons }: Candidates): boolean {
  for (const [level, tag] of horizons) if (chooser.clock(level) > tag) return true;
  return false;
}

/** FirstInFirstOut, by time: customers that were not read may have an older Agenda. */
export const isBehindUnread = (
  { algorithm }: Settings,
  { head }: { readonly head: Head },
  { horizons }: Candidates,
): boolean =>
  !isFairShare(algorithm) &&
  algorithm !== 'RoundRobin' &&
  head.readyTime > (horizons.get(0) ?? Number.POSITIVE_INFINITY);

function turnedInactive({ queues }: Changes, { customers }: LoadedQueues): boolean {
  return queues.some(
    (queue) => !queue.active && customers.get(queue.customerId)?.queues.get(queueKey(queue))?.active === true,
  );
}

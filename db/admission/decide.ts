/**
 * Lets the Insight's algorithm choose among the customers that can be next, reading on where what was read does not tell who is. Nothing is written here.
 */

import type { PartDecision, PartReservation } from '../../scheduling/fair-share-part.ts';
import type { Decision, Resources } from '../../scheduling/index.ts';
import { amountsOfKey } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { type Candidates, findCandidates, findTurns } from './candidates.ts';
import { type Chooser, shareChooser, turnChooser } from './choosers.ts';
import { type Head, queueKey, type StoredQueue } from './customers.ts';
import { readPoolCustomers, readRunning, readUnits } from './held-and-running.ts';
import { InHand, type Place } from './loaded-queues.ts';
import type { Changes } from './rules-view.ts';
import { isFairShare, type Settings } from './settings.ts';

/** Times that more heads are read in one batch, and times that more customers are. */
const mostRefills = 8;
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

/** Chooses at most `most` Agendas that fit what is free. */
export async function decide(sql: Statements, settings: Settings, free: Resources, most: number): Promise<Verdict> {
  const byTags = isFairShare(settings.algorithm);
  const isRoundRobin = settings.algorithm === 'RoundRobin';
  const known = isRoundRobin ? await readPoolCustomers(sql, settings) : [];
  let candidates = await (isRoundRobin
    ? findTurns(sql, settings, known, most)
    : findCandidates(sql, settings, free, most));
  const units = byTags ? await readUnits(sql, settings) : [];
  const hand = new InHand(sql, settings, most);
  const [first, running] = await Promise.all([
    hand.take(candidates.customerIds, units),
    byTags && (candidates.needs > 1 || units.length > 0) ? readRunning(sql, settings) : [],
  ]);
  const chooser = byTags
    ? shareChooser(settings, hand, first, { leaving: candidates.leaving, running })
    : turnChooser(settings, hand, first, known, most);

  const admitted: Admitted[] = [];
  const leaving = new Set(candidates.leaving.map(({ customerId }) => customerId));
  let left = free;
  let stopped = false;
  for (let joins = 0, refills = 0; admitted.length < most; ) {
    if (isBeyond(chooser, candidates)) {
      stopped = joins++ === mostJoins;
      if (stopped) break;
      const current = { ...settings, bands: chooser.bands() };
      candidates = await findCandidates(sql, current, left, most - admitted.length, {
        customerIds: [...hand.customers.keys()],
        leaving: [...leaving],
      });
      for (const { customerId } of candidates.leaving) leaving.add(customerId);
      chooser.join(await hand.take(candidates.customerIds), candidates.leaving);
      continue;
    }
    const decision = chooser.next(left, settings.now);
    if (decision === undefined) break;
    const place = hand.places.get(decision.id) as Place;
    // By time, what customers have that were not read may come before it.
    stopped =
      !byTags && !isRoundRobin && place.head.readyTime > (candidates.horizons.get(0) ?? Number.POSITIVE_INFINITY);
    if (stopped) break;
    admitted.push({ decision, head: place.head, queue: place.queue });
    left = without(left, place.queue.need);
    // The one behind the next has to be known before the next goes.
    if (!hand.chose(place)) continue;
    stopped = refills++ === mostRefills;
    if (stopped) break;
    chooser.add(await hand.refill());
  }

  const changes = chooser.changes(new Set(admitted.map(({ head }) => head.agendaId)));
  const reservation = chooser.reservation();
  const held = reservation.held === null ? undefined : hand.places.get(reservation.held);
  return {
    admitted,
    changes,
    reservation,
    heldNeed: held?.queue.need ?? null,
    pending: chooser.pending(),
    // Customers that turned out to be held back took the places of others that were not read.
    // One that capacity is held for since now may have all of the pool, not only its Insight's part.
    more:
      stopped ||
      (candidates.truncated && admitted.length < most && turnedInactive(changes, hand)) ||
      (reservation.held !== null &&
        reservation.held !== settings.reservation.held &&
        settings.inUseHere.slots === 0 &&
        admitted.length === 0),
  };
}

/** Whether a clock came further than what was read reaches. */
function isBeyond(chooser: Chooser, { horizons }: Pick<Candidates, 'horizons'>): boolean {
  return (
    horizons.size > 0 &&
    chooser.bands().some(({ level, clock }) => clock[0] > (horizons.get(level) ?? Number.POSITIVE_INFINITY))
  );
}

function turnedInactive({ queues }: Changes, { customers }: InHand): boolean {
  return queues.some(
    (queue) => !queue.active && customers.get(queue.customerId)?.queues.get(queueKey(queue))?.active === true,
  );
}

function without(free: Resources, key: string): Resources {
  const need = amountsOfKey(key);
  const left: { slots?: number; cpu?: number; memory?: number; gpu?: number } = {};
  for (const name of ['slots', 'cpu', 'memory', 'gpu'] as const) {
    const amount = free[name];
    if (amount !== undefined) left[name] = amount - need[name];
  }
  return left;
}

/**
 * The order in which the lanes of a band go (rule 2 of choose-next.ts). Each need has two heaps: lanes that the clock
 * has reached, by F, and lanes ahead of it, by S. The clock moves without touching the heaps. A lane changes its heap
 * when it comes to the top.
 */
import type { Band, Lane, NeedClass, Queue } from './lane.ts';

/** True when `a` goes first. Lanes that the clock has reached go first, by F; the others follow, by S. */
function goesBefore(a: Lane, b: Lane): boolean {
  const { clock } = a.band;
  const aWaits = a.tag.isAbove(clock);
  const bWaits = b.tag.isAbove(clock);
  if (aWaits !== bWaits) return bWaits;
  return aWaits ? startsBefore(a, b) : finishesBefore(a, b);
}

/** True when `a` has the smaller F; at equal F the smaller S decides, then the id. */
export function finishesBefore(a: Lane, b: Lane): boolean {
  if (b.finish.isAbove(a.finish)) return true;
  if (a.finish.isAbove(b.finish)) return false;
  return a.tag.high !== b.tag.high ? a.tag.high < b.tag.high : a.customer.id < b.customer.id;
}

/** True when `a` has the smaller S; at equal S the id decides. */
export function startsBefore(a: Lane, b: Lane): boolean {
  return b.tag.isAbove(a.tag) || (!a.tag.isAbove(b.tag) && a.customer.id < b.customer.id);
}

/** The best of the lanes that the needs of a band offer. `offer` gives at most one lane for each need. */
export function bestLane(band: Band, offer: (needClass: NeedClass) => Lane | undefined): Lane | undefined {
  let best: Lane | undefined;
  for (const needClass of band.classes) {
    const lane = offer(needClass);
    if (lane !== undefined && (best === undefined || goesBefore(lane, best))) best = lane;
  }
  return best;
}

/** The first queue of a need. Queues change their heap here, because the clock may have moved either way. */
export function firstOf({ clock }: Band, needClass: NeedClass): Queue | undefined {
  const { reached, ahead } = needClass;
  while (ahead.firstReached(clock)) put(ahead.first as Queue, reached);
  while (reached.first?.lane.tag.isAbove(clock)) put(reached.first, ahead);
  return reached.first ?? ahead.first;
}

/** Puts the queues of an active lane where its tags say. F is the S that the lane has once its head is admitted. */
export function arrange(lane: Lane, costs: Float64Array): void {
  const { tag, finish, band } = lane;
  finish.set(tag);
  finish.add((costs[lane.head] as number) / lane.customer.weight);
  const isAhead = tag.isAbove(band.clock);
  for (const queue of lane.queues) {
    const { needClass, rows } = queue;
    if (rows.length === 0 || needClass.neverFits) put(queue, undefined);
    else put(queue, isAhead ? needClass.ahead : needClass.reached);
  }
}

/** Puts a queue into one of the heaps of its need, or into none. */
export function put(queue: Queue, heap: NeedClass['reached'] | undefined): void {
  const { tag, finish } = queue.lane;
  if (queue.heap !== heap) queue.heap?.remove(queue);
  if (heap !== undefined) {
    const isAhead = heap === queue.needClass.ahead;
    heap.put(queue, isAhead ? tag : finish, isAhead ? 0 : tag.high);
  }
  queue.heap = heap;
}

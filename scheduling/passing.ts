/** Chooses who passes the unit that capacity is held for (rule 5 of choose-next.ts). */
import type { Band, Lane, NeedClass } from './lane.ts';
import { bestLane, firstOf, startsBefore } from './lane-order.ts';
import { type Amounts, fits } from './need.ts';
import type { Passage, PassedBy } from './reservations.ts';
import type { WaitingItems } from './waiting-items.ts';

/** Most Agendas of a customer, and most customers of a need, that are searched for an Agenda that is short enough. */
const mostLooks = 64;

/** The Agenda that passes the unit, and the ground on which it may. */
export interface Passer {
  readonly row: number;
  readonly by: PassedBy;
}

/** The first Agenda of a band, in the order of rule 2, that may pass. */
export function firstPasser(band: Band, room: Amounts, passage: Passage, items: WaitingItems): Passer | undefined {
  const ends = (row: number): boolean => (items.seconds[row] as number) <= passage.withinSeconds;
  const lane = bestLane(band, (needClass) => {
    if (!fits(needClass.need, room)) return undefined;
    if (passage.anyMayPass || fits(needClass.need, passage.spare)) return firstOf(band, needClass)?.lane;
    return passage.withinSeconds > 0 ? firstThatEnds(band, needClass, ends, items) : undefined;
  });
  if (lane === undefined) return undefined;
  // The passer is the first Agenda of the lane that may pass. It is not always the head.
  let first: Passer | undefined;
  for (const queue of lane.queues) {
    const { need } = queue.needClass;
    if (queue.heap === undefined || !fits(need, room)) continue;
    const isSpare = fits(need, passage.spare);
    const row = passage.anyMayPass || isSpare ? queue.rows[0] : items.firstThat(queue, ends, mostLooks);
    if (row !== undefined && (first === undefined || items.isBefore(row, first.row)))
      first = { row, by: ends(row) ? 'time' : isSpare ? 'spare' : 'patience' };
  }
  return first;
}

/** The first lane of a need, in the order of rule 2, that has an Agenda which ends in time. */
function firstThatEnds(
  band: Band,
  needClass: NeedClass,
  ends: (row: number) => boolean,
  items: WaitingItems,
): Lane | undefined {
  firstOf(band, needClass);
  let looks = 0;
  let late: Lane | undefined;
  for (const heap of [needClass.reached, needClass.ahead]) {
    for (const queue of heap.inOrder()) {
      if (looks++ === mostLooks) break;
      if (items.firstThat(queue, ends, mostLooks) === undefined) continue;
      if (!queue.lane.tag.isAbove(band.clock)) return queue.lane;
      if (late === undefined || startsBefore(queue.lane, late)) late = queue.lane;
    }
  }
  return late;
}

/**
 * The fairness bound of docs/scheduling.md, held against what was admitted, by counting alone: no tag and no clock of
 * the scheduler is used.
 *
 * For two customers i and j of one Insight, with weights w, and with L the largest cost of one Agenda of theirs: over
 * any run of admissions throughout which j could have been served,
 *
 *     service(i) / w(i) - service(j) / w(j)  <  2 (L / w(i) + L / w(j))
 *
 * whether i waited, idled or stood at a cap meanwhile: neither idling nor a cap earns credit. Where both could be
 * served throughout it holds both ways, and is the bound of the promise.
 *
 * That j could be served is not asked of the scheduler. Batches of a pool come one after the other; only a batch takes
 * waiting Agendas away or adds running ones, whatever else happens beside it (nothing is cancelled here, and settings
 * stay). So from the commit of one batch on, j has at least as many waiting, and at most as many running, as at that
 * commit, less and plus what the next one admits. A run goes on as long as by this reckoning j has an Agenda waiting
 * and stands below its caps, at each admission of its Insight and at the commit of each batch of either Insight (a
 * batch in between that admitted nothing saw no more running and no less waiting). Else it ends, and the next one
 * begins from nothing.
 */
import type { Standing } from './admission-watch.ts';

/** An admission as it counts. */
export interface Admitted {
  readonly insightId: string;
  readonly customerId: string;
  readonly cost: number;
}

/** The admissions of one batch, and how things stood after it. */
export interface AdmittedBatch<A extends Admitted = Admitted> {
  /** In the order of their numbers. */
  readonly admitted: readonly A[];
  /** At its commit. */
  readonly after: readonly Standing[];
}

/** Weights and caps, from the settings. */
export interface Entitlements {
  readonly weight: (insightId: string, customerId: string) => number;
  /** Most that the customer may run, over all Insights. */
  readonly cap: (customerId: string) => number;
  /** Most that it may run in this Insight. */
  readonly capInInsight: (insightId: string, customerId: string) => number;
}

/** What was seen of two customers of one Insight. */
export interface PairSeen {
  readonly insightId: string;
  /** Had so much more. */
  readonly ahead: string;
  /** Than this one, which could be served throughout. */
  readonly behind: string;
  /** Largest difference of service/weight over any run. */
  readonly largest: number;
  readonly bound: number;
  readonly isExceeded: boolean;
  /** Admissions of the Insight that were within runs. */
  readonly admissions: number;
}

/** Each ordered pair of customers in each Insight, with the largest difference that was seen. */
export function compareService(
  before: readonly Standing[],
  batches: readonly AdmittedBatch[],
  entitled: Entitlements,
): PairSeen[] {
  const insightIds = [...new Set(before.map(({ insightId }) => insightId))];
  return insightIds.flatMap((insightId) => {
    const customers = before.filter((standing) => standing.insightId === insightId).map(({ customerId }) => customerId);
    const pairs = customers.flatMap((ahead) =>
      customers.filter((behind) => behind !== ahead).map((behind) => [ahead, behind] as const),
    );
    return pairs.map(([ahead, behind]) => comparePair({ insightId, ahead, behind }, before, batches, entitled));
  });
}

function comparePair(
  { insightId, ahead, behind }: Pick<PairSeen, 'insightId' | 'ahead' | 'behind'>,
  before: readonly Standing[],
  batches: readonly AdmittedBatch[],
  entitled: Entitlements,
): PairSeen {
  const weightAhead = entitled.weight(insightId, ahead);
  const weightBehind = entitled.weight(insightId, behind);
  const costs: number[] = [];
  let admissions = 0;
  let largest = 0;
  for (const run of runsOf({ insightId, customerId: behind }, before, batches, entitled)) {
    let difference = 0;
    let lowest = 0;
    for (const { customerId, cost } of run) {
      admissions += 1;
      if (customerId === ahead) difference += cost / weightAhead;
      else if (customerId === behind) difference -= cost / weightBehind;
      else continue;
      costs.push(cost);
      lowest = Math.min(lowest, difference);
      largest = Math.max(largest, difference - lowest);
    }
  }
  const largestCost = Math.max(0, ...costs);
  const bound = 2 * (largestCost / weightAhead + largestCost / weightBehind);
  return { insightId, ahead, behind, largest, bound, isExceeded: largest > 0 && largest >= bound, admissions };
}

/** The runs of admissions of an Insight throughout which a customer could have been served. */
export function runsOf<A extends Admitted>(
  { insightId, customerId }: { readonly insightId: string; readonly customerId: string },
  before: readonly Standing[],
  batches: readonly AdmittedBatch<A>[],
  entitled: Entitlements,
): A[][] {
  const couldBeServed = (standings: readonly Standing[], admitted: readonly A[]): boolean => {
    const own = standings.filter((standing) => standing.customerId === customerId);
    const here = own.find((standing) => standing.insightId === insightId);
    if (here === undefined) throw new Error(`how ${customerId} stands in ${insightId} was not noted`);
    const more = admitted.filter((one) => one.customerId === customerId);
    const moreHere = more.filter((one) => one.insightId === insightId).length;
    const running = own.reduce((sum, standing) => sum + standing.running, 0);
    return (
      here.waiting - moreHere >= 1 &&
      here.running + moreHere < entitled.capInInsight(insightId, customerId) &&
      running + more.length < entitled.cap(customerId)
    );
  };
  const runs: A[][] = [];
  let run: A[] = [];
  const endRun = () => {
    if (run.length > 0) runs.push(run);
    run = [];
  };
  let last = before;
  for (const { admitted, after } of batches) {
    for (const [index, one] of admitted.entries()) {
      if (one.insightId !== insightId) continue;
      if (couldBeServed(last, admitted.slice(0, index))) run.push(one);
      else endRun();
    }
    last = after;
    if (!couldBeServed(last, [])) endRun();
  }
  endRun();
  return runs;
}

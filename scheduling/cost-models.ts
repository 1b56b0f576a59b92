/**
 * The cost of an Agenda for its customer, before it runs and after. Costs have no unit; only their proportions matter
 * inside one Insight.
 */
import { entriesOf } from './check-numbers.ts';
import type { Resources } from './scheduler.ts';

/** The measure of cost: 1 for each Agenda, its slots, its largest part of the pool, or that part × seconds. */
export type CostModel = 'count' | 'slots' | 'share' | 'shareTime';

/** The models an Insight can name as `costModel`. */
export const costModels: readonly CostModel[] = ['count', 'slots', 'share', 'shareTime'];

/** The facts that a cost is computed from. */
export interface CostInput {
  readonly model: CostModel;
  /** The most that it holds at once. */
  readonly peak: Resources;
  /** What the whole pool has. */
  readonly pool: Resources;
  /** Seconds it is expected to run, or ran. */
  readonly seconds: number;
}

/** The least cost. It is above 0, because an Agenda that holds nothing still takes its turn. */
const leastCost = 1e-9;

/** The cost of an Agenda; always above 0. */
export function costOf({ model, peak, pool, seconds }: CostInput): number {
  switch (model) {
    case 'count':
      return 1;
    case 'slots':
      return atLeast(peak.slots ?? 1);
    case 'share':
      return atLeast(dominantShare(peak, pool));
    case 'shareTime':
      return atLeast(dominantShare(peak, pool) * seconds);
  }
}

/**
 * The largest part that `need` takes of any one resource of the pool (Ghodsi et al. 2011, "Dominant Resource
 * Fairness"). Resources that the pool does not limit do not count.
 */
export function dominantShare(need: Resources, pool: Resources): number {
  let largest = 0;
  for (const [name, amount] of entriesOf(need)) {
    const whole = pool[name];
    if (whole === undefined || whole <= 0) continue;
    if (amount / whole > largest) largest = amount / whole;
  }
  return largest;
}

/** The learned duration of one customer's Agendas of one type: the mean in seconds, and the number of runs in it. */
export interface Estimate {
  readonly seconds: number;
  readonly samples: number;
}

/**
 * A run counts for 1/4 of the mean. The second and the third run count for 1/2, so that an unusual first run is soon
 * forgotten. Powers of two keep the mean exact where the samples are.
 */
const ratio = 4;

/** Adds a finished run to an estimate, as an exponential mean. */
export function learn(estimate: Estimate | undefined, seconds: number): Estimate {
  if (!(seconds >= 0 && Number.isFinite(seconds)))
    throw new RangeError(`seconds must be finite and not below 0; it is ${seconds}`);
  if (estimate === undefined || estimate.samples === 0) return { seconds, samples: 1 };
  const samples = estimate.samples + 1;
  const part = samples >= ratio ? ratio : 2;
  return { seconds: estimate.seconds + (seconds - estimate.seconds) / part, samples };
}

/**
 * The seconds that an Agenda is expected to run: declared, else learned for its customer and type, else learned for the
 * type, else `otherwise`.
 */
export function expectedSeconds(
  declared: number | undefined,
  ofCustomer: Estimate | undefined,
  ofType: Estimate | undefined,
  otherwise: number,
): number {
  return declared ?? ofCustomer?.seconds ?? ofType?.seconds ?? otherwise;
}

const atLeast = (cost: number): number => Math.max(cost, leastCost);

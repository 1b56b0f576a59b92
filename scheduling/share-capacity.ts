/**
 * Divides a pool between its Insights: weighted max-min over what each can use (Bertsekas & Gallager, "Data Networks",
 * 6.5.2), with guaranteed minimums and with maximums. The part that one Insight does not need, the others use.
 */

/** The demand of an Insight and its rights, in the unit of the capacity that is divided. */
export interface InsightDemand {
  readonly id: string;
  /** Finite and above 0. */
  readonly weight: number;
  /** Amount that it runs and has waiting. */
  readonly demand: number;
  /** Amount that it gets before others share, as far as it needs it; default 0. */
  readonly minimum?: number;
  readonly maximum?: number;
}

/**
 * Remainders of whole slots, by Insight, that are carried to the next division so that they rotate. Above 0: slots that
 * the Insight was entitled to and did not get yet. Below 0: slots that it got in advance.
 */
export type Remainders = Readonly<Record<string, number>>;

/** One division of a pool, with the remainders for the next one. */
export interface Division {
  /** Whole slots by Insight. */
  readonly slots: ReadonlyMap<string, number>;
  readonly remainders: Remainders;
}

/**
 * Exact parts of `capacity` by Insight, in any unit. @throws RangeError for a weight that is not finite and above 0.
 */
export function shareCapacity(capacity: number, insights: readonly InsightDemand[]): Map<string, number> {
  const parts = new Map<string, number>();
  const open = insights.map(({ id, weight, demand, minimum = 0, maximum = Number.POSITIVE_INFINITY }) => {
    if (!(weight > 0 && Number.isFinite(weight)))
      throw new RangeError(`the weight of Insight ${id} must be finite and above 0; it is ${weight}`);
    const most = Math.max(0, Math.min(demand, maximum));
    return { id, weight, most, least: Math.min(Math.max(0, minimum), most) };
  });
  const pool = Math.max(0, capacity);
  const guaranteed = open.reduce((sum, { least }) => sum + least, 0);
  // More is guaranteed than the pool has: it is divided in the proportion of the guarantees.
  if (guaranteed > pool) {
    for (const { id, least } of open) parts.set(id, (least * pool) / guaranteed);
    return parts;
  }
  // Water rises by weight. An Insight that is full, or whose guarantee stands above the water, is set aside; then the
  // rest is divided again.
  let rest = open;
  let left = pool;
  while (rest.length > 0) {
    const weights = rest.reduce((sum, { weight }) => sum + weight, 0);
    const level = left / weights;
    const over = rest.reduce((sum, one) => sum + clamp(one, level * one.weight) - level * one.weight, 0);
    // Those clamped in the direction that dominates are final (Lagrange multipliers of a clamped sum).
    const isFinal = (one: (typeof rest)[number]): boolean => {
      const part = level * one.weight;
      return over > 0 ? one.least > part : over < 0 ? one.most < part : true;
    };
    const final = rest.filter(isFinal);
    for (const one of final) {
      const part = clamp(one, level * one.weight);
      parts.set(one.id, part);
      left -= part;
    }
    if (final.length === 0) {
      for (const one of rest) parts.set(one.id, clamp(one, level * one.weight));
      break;
    }
    rest = rest.filter((one) => !isFinal(one));
  }
  return parts;
}

/**
 * Divides in whole slots. Each Insight gets its exact part rounded down. Slots left over go one by one to the Insight
 * that is owed most, and what is owed is carried on: 5:3:2 over 7 slots is 3.5, 2.1 and 1.4 over time, and never a slot
 * away from it.
 */
export function divideSlots(
  capacity: number,
  insights: readonly InsightDemand[],
  remainders: Remainders = {},
): Division {
  const exact = shareCapacity(capacity, insights);
  const slots = new Map<string, number>();
  const candidates = insights.map((insight) => {
    const part = exact.get(insight.id) ?? 0;
    const whole = Math.floor(part + 1e-9);
    slots.set(insight.id, whole);
    const most = Math.floor(Math.max(0, Math.min(insight.demand, insight.maximum ?? Number.POSITIVE_INFINITY)) + 1e-9);
    return { id: insight.id, part, whole, owed: (remainders[insight.id] ?? 0) + part - whole, most };
  });
  const wholes = candidates.reduce((sum, { whole }) => sum + whole, 0);
  const parts = candidates.reduce((sum, { part }) => sum + part, 0);
  const order = candidates.filter(({ whole, most, part }) => whole < most && part > whole + 1e-9);
  order.sort((a, b) => b.owed - a.owed || (a.id < b.id ? -1 : 1));
  for (const one of order.slice(0, Math.max(0, Math.floor(parts + 1e-9) - wholes))) {
    slots.set(one.id, one.whole + 1);
    one.owed -= 1;
  }
  const carried = Object.fromEntries(candidates.map(({ id, owed }) => [id, Math.max(-1, Math.min(1, owed))]));
  return { slots, remainders: carried };
}

function clamp({ least, most }: { readonly least: number; readonly most: number }, part: number): number {
  return Math.max(least, Math.min(most, part));
}

import type { ChooseNext } from './choose-next.ts';
import { isBlocked, type Queue } from './lane.ts';
import type { Decision, Explanation } from './scheduler.ts';

/**
 * Tells why an Agenda waits, how many go before it, and how far its customer is from its share. `copy` makes a copy of
 * the same state that decides without limits.
 */
export function explainWaiting(
  core: ChooseNext,
  id: string,
  copy: () => { next(): Decision | undefined },
): Explanation {
  const row = core.items.rowOf(id);
  if (row === undefined) return { id, code: 'unknown', sentence: 'It neither waits nor runs here.' };
  if (!core.isWaitingRow(row)) return { id, code: 'running', sentence: 'It is running.' };
  const { lane, needClass } = core.items.queues[row] as Queue;
  const { customer, band } = lane;
  let ahead = 0;
  let aheadOfCustomer = 0;
  const order = copy();
  for (let decision = order.next(); decision !== undefined && decision.id !== id; decision = order.next()) {
    ahead += 1;
    if (decision.customerId === customer.id) aheadOfCustomer += 1;
  }
  const total = band.total.high + (lane.state === 'dormant' ? customer.weight : 0);
  const lag = band.clock.minus(lane.tag) * customer.weight;
  const numbers = {
    position: ahead + 1,
    ahead,
    aheadOfCustomer,
    share: customer.weight / total,
    // Time spent idle or blocked earns nothing.
    lag: lane.state === 'active' || lag < 0 ? lag : 0,
    bound: boundOf(core, row),
  };
  return { id, ...obstacle(core, row), ...numbers };

  function obstacle({ reservations, options, items }: ChooseNext, own: number): Pick<Explanation, 'code' | 'sentence'> {
    const { share, running } = customer;
    if (share?.paused === true) return { code: 'paused', sentence: `Customer ${customer.id} is paused.` };
    if (isBlocked(customer)) {
      return {
        code: 'customerLimit',
        sentence: `Customer ${customer.id} runs ${running} of at most ${share?.maximumRunning} Agendas.`,
      };
    }
    if (needClass.neverFits) return { code: 'neverFits', sentence: 'It needs more than the whole pool has.' };
    if (items.running.length >= (options.maximumRunning ?? Number.POSITIVE_INFINITY)) {
      return {
        code: 'insightLimit',
        sentence: `${items.running.length} of at most ${options.maximumRunning} Agendas run.`,
      };
    }
    const { held } = reservations;
    if (held === own) {
      const bypass = reservations.bypasses.get(own);
      const sentence =
        `What it needs is not free yet; capacity is held for it since ${bypass?.since} s, ` +
        `${bypass?.count} of at most ${core.rules.bypassLimit} Agendas that may delay it have passed.`;
      return { code: 'poolFull', sentence };
    }
    if (held !== undefined) {
      return {
        code: 'reservation',
        sentence:
          `Capacity is held for Agenda ${items.ids[held]}; ${ahead} Agendas go before this one, ` +
          `${aheadOfCustomer} of its own customer.`,
      };
    }
    if (ahead === 0) return { code: 'next', sentence: 'It is the next one.' };
    return { code: 'ahead', sentence: `${ahead} Agendas go before it, ${aheadOfCustomer} of its own customer.` };
  }
}

/** The most cost that a customer may be away from its share while nothing changes: the largest cost of any head. */
function boundOf(core: ChooseNext, row: number): number {
  let largest = core.items.cost[row] as number;
  for (const { lanes } of core.customers.values()) {
    for (const { head, state } of lanes)
      if (state === 'active' && (core.items.cost[head] as number) > largest) largest = core.items.cost[head] as number;
  }
  return largest;
}

/**
 * Prepares a copy that is to show an order. It lifts `maximumRunning` of every customer, so that the order does not end
 * half-way. A customer that is blocked now becomes paused, except the customer of `id`.
 */
export function liftLimits(core: ChooseNext, id: string | undefined): void {
  const row = id === undefined ? undefined : core.items.rowOf(id);
  const own = row === undefined ? undefined : (core.items.queues[row] as Queue).lane.customer;
  for (const customer of core.customers.values()) {
    if (customer.share === undefined) continue;
    const { maximumRunning: _, ...share } = customer.share;
    const paused = customer !== own && isBlocked(customer);
    customer.share = { ...share, paused };
    core.settleCustomer(customer);
  }
}

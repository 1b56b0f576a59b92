/** How shares look as JSON: what of them a caller may see. */
import type { z } from '@hono/zod-openapi';
import type { CustomerShares, Shares } from '../../db/insight/shares.ts';
import { mostCustomers, type windowSchema } from './shares-schema.ts';

/** The same shares with the rows of these customers only (undefined: of all), the first few of them. */
export function seenShares(shares: Shares, visible: readonly string[] | undefined): Shares {
  const seen = visible && new Set(visible);
  const customers = shares.customers.filter(({ customerId }) => seen === undefined || seen.has(customerId));
  return { ...shares, customers: customers.slice(0, mostCustomers) };
}

/**
 * One window as answered. Sums over all customers are for who owns the Insight (`isWhole`); others get the sums of
 * their own. `lags` are by customer.
 */
export function windowView(
  shares: Shares,
  lags: ReadonlyMap<string, number>,
  isWhole: boolean,
): z.input<typeof windowSchema> {
  const { customers, jainIndex, backloggedCustomers, ...window } = shares;
  const sum = (of: (one: CustomerShares) => number) => customers.reduce((whole, one) => whole + of(one), 0);
  return {
    ...window,
    ...(isWhole
      ? { jainIndex, backloggedCustomers }
      : {
          admissions: sum((one) => one.admissions),
          cost: sum((one) => one.cost),
          slotSeconds: sum((one) => one.slotSeconds),
        }),
    customers: customers.map((one) => ({ ...one, lag: lags.get(one.customerId) })),
  };
}

/** Who is entitled to what in the crash tests: as the objects are made, and as their proof reckons. */
import type { Entitlements } from './fairness-bound.ts';

/** Capacity of the pool. */
export const slots = 10;
/** Weights of customers, and the most that one may run over both Insights. */
export const customers = {
  bronze: { weight: 1 },
  silver: { weight: 2 },
  gold: { weight: 4, maximumRunning: 4 },
} as const;
/** The second one has entitlements of its own: another weight, a cap. */
export const insights = {
  alpha: { weight: 2, queueSize: 6, maximumRunning: 8, customers: {} },
  beta: {
    weight: 1,
    queueSize: 4,
    maximumRunning: 5,
    customers: { bronze: { weight: 2 }, silver: { maximumRunning: 1 } },
  },
} as const;
/** How many of 200 Agendas are whose, in the Insights together: so many that each waits for most of a test. */
export const parts = { bronze: 60, silver: 60, gold: 80 } as const;

interface OfCustomer {
  readonly weight?: number;
  readonly maximumRunning?: number;
}

const entitlement = (insightId: string, customerId: string): { here: OfCustomer; own: OfCustomer } => ({
  here: (insights as Record<string, { customers: Record<string, OfCustomer> }>)[insightId]?.customers[customerId] ?? {},
  own: (customers as Record<string, OfCustomer>)[customerId] ?? {},
});
/** What the proof reckons with. */
export const entitled: Entitlements = {
  weight: (insightId, customerId) => {
    const { here, own } = entitlement(insightId, customerId);
    return here.weight ?? own.weight ?? 1;
  },
  cap: (customerId) => entitlement('', customerId).own.maximumRunning ?? Number.POSITIVE_INFINITY,
  capInInsight: (insightId, customerId) =>
    entitlement(insightId, customerId).here.maximumRunning ?? Number.POSITIVE_INFINITY,
};

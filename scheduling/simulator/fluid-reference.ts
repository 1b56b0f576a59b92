/**
 * The fluid server that shares are measured against (Generalized Processor Sharing: Parekh & Gallager 1993). It knows
 * no tags and no virtual time. It hands each admitted unit of cost to all customers that it serves at once, by weight.
 * It serves the customers that are eligible. It also serves a customer that is eligible no more, until that customer
 * has got what it was admitted for.
 */
interface Served {
  weight: number;
  eligible: boolean;
  /** Cost admitted for it. */
  admitted: number;
  /** Cost the fluid server gave it. */
  given: number;
}

/** The fluid server; costs are in the units of the workload. */
export class FluidReference {
  readonly customers = new Map<string, Served>();

  of(id: string): Served {
    let served = this.customers.get(id);
    if (served === undefined) {
      served = { weight: 1, eligible: false, admitted: 0, given: 0 };
      this.customers.set(id, served);
    }
    return served;
  }

  setEligible(id: string, eligible: boolean): void {
    const served = this.of(id);
    if (served.eligible === eligible) return;
    // A customer that was behind when it left, or idle, gets nothing for it.
    if (eligible && served.admitted < served.given) served.given = served.admitted;
    served.eligible = eligible;
  }

  /** Hands out `cost`, admitted for `id`. `stillEligible`: whether it waits on afterwards. */
  admit(id: string, cost: number, stillEligible: boolean): void {
    const own = this.of(id);
    own.admitted += cost;
    own.eligible = stillEligible;
    let left = cost;
    while (left > 0) {
      const served = [...this.customers.values()].filter((one) => one.eligible || one.admitted - one.given > 1e-12);
      const total = served.reduce((sum, { weight }) => sum + weight, 0);
      if (total === 0) return;
      // One step lasts until the first of the customers that left has what it was admitted for.
      let step = left;
      for (const one of served)
        if (!one.eligible) step = Math.min(step, ((one.admitted - one.given) * total) / one.weight);
      for (const one of served) one.given += (step * one.weight) / total;
      left -= step;
      if (step <= left * 1e-15) return;
    }
  }

  /** Cost `id` is behind (above 0) or ahead (below 0). */
  lag(id: string): number {
    const { admitted, given } = this.of(id);
    return given - admitted;
  }
}

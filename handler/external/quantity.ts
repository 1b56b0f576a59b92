/** Quantities as Kubernetes writes them. */
import { fail } from '../handler-failure.ts';

const factors: Readonly<Record<string, number>> = {
  ...{ n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 },
};

/** The number that a quantity stands for: `500m` is 0.5, `1Ki` is 1024. Fails for what is none. */
export function numberOf(quantity: string): number {
  const [, digits, suffix = ''] = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(quantity.trim()) ?? [];
  const value = Number(digits) * (factors[suffix] ?? Number.NaN);
  return Number.isFinite(value)
    ? value
    : fail(`"${quantity}" is no quantity such as 500m, 2 or 256Mi.`, { code: 'externalFailed' });
}

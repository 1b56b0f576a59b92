/** Amounts as people write them in a registry: numbers, or texts with the suffixes of Kubernetes. */

const suffixes: Readonly<Record<string, number>> = {
  ...{ n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 },
};
const form = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([a-zA-Z]{0,2}))$/;

/** The amount that `500m`, `2Gi`, `1.5`, `1e3` or a number means; undefined when it means none. */
export function parseQuantity(given: string | number): number | undefined {
  if (typeof given === 'number') return Number.isFinite(given) ? given : undefined;
  const [, digits, exponent, suffix = ''] = form.exec(given.trim()) ?? [];
  if (digits === undefined) return undefined;
  if (exponent !== undefined) return finite(Number(`${digits}e${exponent}`));
  if (!Object.hasOwn(suffixes, suffix)) return undefined;
  // A thousandth has no exact factor, a division by a thousand is right to the last digit.
  if (suffix === 'm') return finite(Number(digits) / 1_000);
  return finite(Number(digits) * (suffixes[suffix] ?? 1));
}

const finite = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);

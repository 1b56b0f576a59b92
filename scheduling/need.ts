import type { Resources } from './scheduler.ts';

/** In the order in which a need's key has them. */
export const resourceNames = ['slots', 'cpu', 'memory', 'gpu'] as const;

/** Amounts of all four resources. What a need leaves out is 0, what is free and left out is unlimited. */
export interface Amounts {
  slots: number;
  cpu: number;
  memory: number;
  gpu: number;
}

/** Sums of parts of a pool are compared with this slack, for a sum of tenths is seldom exact; what is free is compared without. */
const slack = 1 + 1e-9;

export const needOf = (need: Resources = { slots: 1 }): Amounts => ({
  slots: need.slots ?? 0,
  cpu: need.cpu ?? 0,
  memory: need.memory ?? 0,
  gpu: need.gpu ?? 0,
});

export const amountsOf = (free: Resources | undefined): Amounts => ({
  slots: free?.slots ?? Number.POSITIVE_INFINITY,
  cpu: free?.cpu ?? Number.POSITIVE_INFINITY,
  memory: free?.memory ?? Number.POSITIVE_INFINITY,
  gpu: free?.gpu ?? Number.POSITIVE_INFINITY,
});

/** A resource that is not needed never stands in the way, even where less than none of it is free. */
export const fits = (need: Amounts, free: Amounts): boolean =>
  (need.slots <= free.slots || need.slots === 0) &&
  (need.cpu <= free.cpu || need.cpu === 0) &&
  (need.memory <= free.memory || need.memory === 0) &&
  (need.gpu <= free.gpu || need.gpu === 0);

/** Whether there is at least something of everything that is needed. */
export const someOfEach = (need: Amounts, free: Amounts): boolean =>
  (free.slots > 0 || need.slots === 0) &&
  (free.cpu > 0 || need.cpu === 0) &&
  (free.memory > 0 || need.memory === 0) &&
  (free.gpu > 0 || need.gpu === 0);

/** As `fits`, for an amount that was summed up. */
export const fitsSum = (need: Amounts, sum: Amounts): boolean =>
  fits(need, { slots: sum.slots * slack, cpu: sum.cpu * slack, memory: sum.memory * slack, gpu: sum.gpu * slack });

export const plus = (a: Amounts, b: Amounts): Amounts => ({
  slots: a.slots + b.slots,
  cpu: a.cpu + b.cpu,
  memory: a.memory + b.memory,
  gpu: a.gpu + b.gpu,
});

export const minus = (a: Amounts, b: Amounts): Amounts => ({
  slots: a.slots - b.slots,
  cpu: a.cpu - b.cpu,
  memory: a.memory - b.memory,
  gpu: a.gpu - b.gpu,
});

/** The same text for the same need. */
export const keyOfNeed = (need: Resources | undefined): string =>
  need === undefined ? '1,0,0,0' : `${need.slots ?? 0},${need.cpu ?? 0},${need.memory ?? 0},${need.gpu ?? 0}`;

/** What `keyOfNeed` wrote. */
export function amountsOfKey(key: string): Amounts {
  const [slots = 0, cpu = 0, memory = 0, gpu = 0] = key.split(',').map(Number);
  return { slots, cpu, memory, gpu };
}

import type { Resources } from './scheduler.ts';

/** The four resources, in the order of a need's key. */
export const resourceNames = ['slots', 'cpu', 'memory', 'gpu'] as const;

/**
 * Amounts of all four resources. An amount that a need leaves out is 0; a free amount that is left out is unlimited.
 */
export interface Amounts {
  slots: number;
  cpu: number;
  memory: number;
  gpu: number;
}

/** Factor for comparing with a sum, because a sum of tenths is seldom exact. Free amounts are compared without it. */
const slack = 1 + 1e-9;

/** All four amounts of a need. A need that is not given is one slot. */
export const needOf = (need: Resources = { slots: 1 }): Amounts => ({
  slots: need.slots ?? 0,
  cpu: need.cpu ?? 0,
  memory: need.memory ?? 0,
  gpu: need.gpu ?? 0,
});

/** All four amounts that are free. An amount that is not given is unlimited. */
export const amountsOf = (free: Resources | undefined): Amounts => ({
  slots: free?.slots ?? Number.POSITIVE_INFINITY,
  cpu: free?.cpu ?? Number.POSITIVE_INFINITY,
  memory: free?.memory ?? Number.POSITIVE_INFINITY,
  gpu: free?.gpu ?? Number.POSITIVE_INFINITY,
});

/**
 * True when `need` fits `free`. A resource that is not needed never stands in the way, even where less than none of it
 * is free.
 */
export const fits = (need: Amounts, free: Amounts): boolean =>
  (need.slots <= free.slots || need.slots === 0) &&
  (need.cpu <= free.cpu || need.cpu === 0) &&
  (need.memory <= free.memory || need.memory === 0) &&
  (need.gpu <= free.gpu || need.gpu === 0);

/** True when at least something is free of each resource that is needed. */
export const someOfEach = (need: Amounts, free: Amounts): boolean =>
  (free.slots > 0 || need.slots === 0) &&
  (free.cpu > 0 || need.cpu === 0) &&
  (free.memory > 0 || need.memory === 0) &&
  (free.gpu > 0 || need.gpu === 0);

/** Like `fits`, for an amount that was summed up. */
export const fitsSum = (need: Amounts, sum: Amounts): boolean =>
  fits(need, { slots: sum.slots * slack, cpu: sum.cpu * slack, memory: sum.memory * slack, gpu: sum.gpu * slack });

/** The sum of two amounts, resource by resource. */
export const plus = (a: Amounts, b: Amounts): Amounts => ({
  slots: a.slots + b.slots,
  cpu: a.cpu + b.cpu,
  memory: a.memory + b.memory,
  gpu: a.gpu + b.gpu,
});

/** `a` less `b`, resource by resource; an amount can fall below 0. */
export const minus = (a: Amounts, b: Amounts): Amounts => ({
  slots: a.slots - b.slots,
  cpu: a.cpu - b.cpu,
  memory: a.memory - b.memory,
  gpu: a.gpu - b.gpu,
});

/** The text of a need, such as `1,0,0,0`. Equal needs have equal texts. */
export const keyOfNeed = (need: Resources | undefined): string =>
  need === undefined ? '1,0,0,0' : `${need.slots ?? 0},${need.cpu ?? 0},${need.memory ?? 0},${need.gpu ?? 0}`;

/** Reads a text that `keyOfNeed` wrote. */
export function amountsOfKey(key: string): Amounts {
  const [slots = 0, cpu = 0, memory = 0, gpu = 0] = key.split(',').map(Number);
  return { slots, cpu, memory, gpu };
}

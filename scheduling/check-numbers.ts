import { resourceNames } from './need.ts';
import type { CustomerShare, ReadyItem, Resources, SchedulerOptions } from './scheduler.ts';

/** @throws RangeError when a number of `share` makes no sense. */
export function checkShare(share: CustomerShare): void {
  check('weight', share.weight, isPositive, 'finite and above 0');
  checkCount('maximumRunning', share.maximumRunning);
  checkCount('band', share.band);
}

/** @throws RangeError when a number of `item` makes no sense. */
export function checkItem(item: ReadyItem): void {
  check('readyTime', item.readyTime, Number.isFinite, 'finite');
  if (item.priority !== undefined) checkPriority(item.priority);
  if (item.cost !== undefined) check('cost', item.cost, isPositive, 'finite and above 0');
  if (item.expectedSeconds !== undefined)
    check('expectedSeconds', item.expectedSeconds, isAmount, 'finite and not below 0');
  if (item.need !== undefined)
    for (const [name, amount] of entriesOf(item.need))
      check(`need.${name}`, amount, isAmount, 'finite and not below 0');
}

/** @throws RangeError */
export function checkPriority(priority: number): void {
  check('priority', priority, Number.isFinite, 'finite');
}

/** @throws RangeError */
export function checkActualCost(actualCost: number | undefined): void {
  if (actualCost !== undefined) check('actualCost', actualCost, isAmount, 'finite and not below 0');
}

/**
 * @throws RangeError when an amount is not a number. A free amount may be infinite, or below 0 (a pool that shrank).
 */
export function checkFree(free: Resources | undefined): void {
  if (free === undefined) return;
  const { slots = 0, cpu = 0, memory = 0, gpu = 0 } = free;
  // The sum is finite when all four are. Otherwise each is looked at: infinite is allowed, NaN is not.
  if (Number.isFinite(slots + cpu + memory + gpu)) return;
  for (const [name, amount] of entriesOf(free))
    check(`free.${name}`, amount, (value) => !Number.isNaN(value), 'a number');
}

/** @throws RangeError */
export function checkNow(now: number | undefined): void {
  if (now !== undefined) check('now', now, Number.isFinite, 'finite');
}

/** @throws RangeError when a number of `options` makes no sense. */
export function checkOptions(options: SchedulerOptions): void {
  checkCount('maximumRunning', options.maximumRunning);
  checkCount('bypassLimit', options.bypassLimit);
  if (options.bypassSeconds !== undefined)
    check('bypassSeconds', options.bypassSeconds, isAmount, 'finite and not below 0');
  if (options.priorityStep !== undefined)
    check('priorityStep', options.priorityStep, isAmount, 'finite and not below 0');
  if (options.promoteAfter !== undefined) check('promoteAfter', options.promoteAfter, isPositive, 'finite and above 0');
  if (options.floor !== undefined)
    check('floor', options.floor, (floor) => Number.isInteger(floor) && floor >= 2, 'a whole number, 2 or more');
  if (options.capacity !== undefined)
    for (const [name, amount] of entriesOf(options.capacity))
      check(`capacity.${name}`, amount, isAmount, 'finite and not below 0');
}

/** The amounts that are given, each with its name. */
export function entriesOf(resources: Resources): [keyof Resources, number][] {
  return resourceNames.flatMap((name) => {
    const amount = resources[name];
    return amount === undefined ? [] : [[name, amount] satisfies [keyof Resources, number]];
  });
}

function checkCount(name: string, value: number | undefined): void {
  if (value !== undefined)
    check(name, value, (count) => Number.isInteger(count) && count >= 0, 'a whole number, 0 or more');
}

function check(name: string, value: unknown, accepts: (value: number) => boolean, must: string): void {
  if (typeof value !== 'number' || !accepts(value))
    throw new RangeError(`${name} must be ${must}; it is ${String(value)}`);
}

const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0;
const isAmount = (value: number): boolean => Number.isFinite(value) && value >= 0;

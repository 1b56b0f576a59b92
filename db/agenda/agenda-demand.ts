/**
 * What an Agenda is charged for: its declared peak, else what its Operations may need at once by what the pool's
 * workers told of their types. Computed when it is submitted, and kept: a registry that changes later changes nothing
 * for what waits.
 */
import { quoted } from '../../agenda/cut.ts';
import { residentTypes } from '../../agenda/residents.ts';
import type { Agenda, Fault, Peak } from '../../agenda/types.ts';
import type { TypeNeeds } from '../../messages/resource-pool.ts';
import { needOf, resourceNames } from '../../scheduling/need.ts';
import { peakOf } from '../../scheduling/peak.ts';
import { type ToldRegistry, toldNeeds } from '../pool/told-types.ts';

/** A checked Agenda, as far as its demand goes. */
export interface Demanding {
  readonly agenda: Agenda;
  /** Per Operation, the indexes of those it waits for. */
  readonly dependencies: readonly (readonly number[])[];
}

/** What limits it: amounts, and whose. */
export interface DemandLimit {
  readonly amounts: Peak;
  /** Such as `the ResourcePool "pool" has`. */
  readonly who: string;
}

/** Its demand, or what is wrong with it. */
export interface Demand {
  /** Absent: one slot. */
  readonly demand?: Peak;
  readonly faults: readonly Fault[];
  /** No worker of the pool told of its registry of late, so types were not looked up. */
  readonly isUnchecked: boolean;
}

/** `registries`: what was told of the Agenda's types; null when no worker told anything. */
export function demandOf(
  given: Demanding,
  pool: string,
  registries: readonly ToldRegistry[] | null,
  limits: readonly DemandLimit[],
): Demand {
  const { agenda } = given;
  const { operations, peak } = agenda;
  const declared = peak === undefined ? {} : { demand: { slots: 1, ...peak } };
  const ofPeak = limits.flatMap((limit) => declaredFaults(peak, limit));
  if (registries === null) {
    const isUnchecked = operations.some(({ type }) => !residentTypes.includes(type));
    return { ...declared, faults: ofPeak, isUnchecked };
  }
  const needs = needsByType(operations, registries);
  const faults = [...ofPeak, ...unknownTypes(operations, pool, needs)];
  if (peak !== undefined) return { ...declared, faults, isUnchecked: false };
  const tooLarge = limits.flatMap((limit) => needFaults(operations, needs, limit));
  if (faults.length + tooLarge.length > 0) return { faults: [...faults, ...tooLarge], isUnchecked: false };
  return { demand: computed(given, needs, limits), faults: [], isUnchecked: false };
}

/** By type; undefined where no registry serves it. The control worker's own types take nothing of the pool. */
function needsByType(
  operations: Agenda['operations'],
  registries: readonly ToldRegistry[],
): ReadonlyMap<string, TypeNeeds | undefined> {
  const types = new Set(operations.map(({ type }) => type));
  return new Map([...types].map((type) => [type, residentTypes.includes(type) ? {} : toldNeeds(registries, type)]));
}

/** Whatever can run at once, but no more than there is: then it waits for all of it, and runs as much as fits. */
function computed(
  { agenda, dependencies }: Demanding,
  needs: ReadonlyMap<string, TypeNeeds | undefined>,
  limits: readonly DemandLimit[],
): Peak {
  const peak = peakOf({
    needs: agenda.operations.map(({ type }) => needOf(needs.get(type) ?? {})),
    dependencies,
    parallelism: agenda.parallelism,
  });
  for (const { amounts } of limits)
    for (const name of resourceNames) peak[name] = Math.min(peak[name], amounts[name] ?? Number.POSITIVE_INFINITY);
  return { ...peak, slots: Math.max(1, peak.slots) };
}

function unknownTypes(
  operations: Agenda['operations'],
  pool: string,
  needs: ReadonlyMap<string, TypeNeeds | undefined>,
): Fault[] {
  return operations.flatMap(({ type }, index) => {
    if (needs.get(type) !== undefined) return [];
    const message = `No pool worker of the ResourcePool ${quoted(pool)} serves the Operation type ${quoted(type)}.`;
    return [{ pointer: `/operations/${index}/type`, code: 'unknownOperationType', message }];
  });
}

/** One run alone is more than all there is. */
function needFaults(
  operations: Agenda['operations'],
  needs: ReadonlyMap<string, TypeNeeds | undefined>,
  { amounts, who }: DemandLimit,
): Fault[] {
  return operations.flatMap(({ type }, index) =>
    tooMuch(needs.get(type), amounts).map(({ name, amount, limit }) => ({
      pointer: `/operations/${index}/type`,
      code: 'needTooLarge',
      message: `An Operation of the type ${quoted(type)} needs ${amount} ${name}; ${who} ${limit} in all.`,
    })),
  );
}

/** What could never be admitted. A limit that is lowered later makes it wait, and is told by its explanation. */
function declaredFaults(peak: Peak | undefined, { amounts, who }: DemandLimit): Fault[] {
  return tooMuch(peak, amounts).map(({ name, amount, limit }) => ({
    pointer: `/peak/${name}`,
    code: 'peakTooLarge',
    message: `peak.${name} is ${amount}; ${who} ${limit} in all.`,
  }));
}

function tooMuch(wanted: Peak | undefined, limits: Peak) {
  return resourceNames.flatMap((name) => {
    const [amount = 0, limit = Number.POSITIVE_INFINITY] = [wanted?.[name], limits[name]];
    return amount <= limit ? [] : [{ name, amount, limit }];
  });
}

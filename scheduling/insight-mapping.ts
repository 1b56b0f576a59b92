/**
 * Chooses the Insight of an Agenda. An Insight matches when the customer may use it and any value of any of its mappers
 * matches. Among several, `params.defaultInsight` (title or id) decides, else `order`, else age, else id. All
 * comparisons ignore case, except the one of a customer id with an Insight's owner.
 */
import { quoted } from '../agenda/cut.ts';
import { FaultList } from '../agenda/fault-list.ts';
import { pointerOf } from '../agenda/json-pointer.ts';
import type { Json, JsonObject, Operation } from '../agenda/types.ts';

/** Mapper name → values; any value of any mapper suffices. */
export type Mappers = Readonly<Record<string, readonly string[]>>;

/** The fields of an Insight that the mapping reads. The Insight is one of the customer's ResourcePool. */
export interface MappedInsight {
  readonly id: string;
  readonly title: string;
  /** The smallest goes first. */
  readonly order: number;
  readonly addedTime: Date | number | string;
  /** Its owner. */
  readonly customerId: string;
  readonly isGlobal: boolean;
  readonly allowedCustomerIds: readonly string[];
  readonly mappers: Mappers;
}

/** The fields of an Agenda that the mapping reads. */
export interface MappedAgenda {
  readonly params?: JsonObject | null;
  readonly operations: readonly Pick<Operation, 'name' | 'type' | 'params'>[];
}

/** The Insight that was chosen, or why there is none. */
export type InsightChoice =
  | { readonly kind: 'chosen'; readonly insightId: string }
  /** No Insight matches, or none that the customer may use. */
  | { readonly kind: 'none' }
  /** `params.defaultInsight` names none of those that match and that the customer may use. */
  | { readonly kind: 'defaultInsightDoesNotMatch'; readonly defaultInsight: string };

/** Chooses the Insight of an Agenda among those of its customer's ResourcePool. */
export function chooseInsight(input: {
  readonly agenda: MappedAgenda;
  readonly customerId: string;
  readonly insights: readonly MappedInsight[];
}): InsightChoice {
  const subject = subjectOf(input.agenda, input.customerId);
  const matching = input.insights
    .filter((insight) => mayUse(insight, input.customerId) && matches(insight.mappers, subject))
    .sort(byOrder);
  const wanted = fold(textOf(ownValue(input.agenda.params, 'defaultInsight')) ?? '').trim();
  const named =
    wanted === '' ? matching : matching.filter(({ id, title }) => fold(id) === wanted || fold(title).trim() === wanted);
  const [first] = named;
  if (first !== undefined) return { kind: 'chosen', insightId: first.id };
  if (wanted === '') return { kind: 'none' };
  return {
    kind: 'defaultInsightDoesNotMatch',
    defaultInsight: textOf(ownValue(input.agenda.params, 'defaultInsight')) ?? '',
  };
}

/**
 * The faults of an Insight's mappers, with pointers from the Insight's body: unknown names, mappers without values,
 * blank values, `paramMap` values that are not `key=value`. An Insight without mappers has no fault: nothing maps to
 * it.
 */
export function validateMappers(mappers: unknown): FaultList {
  const faults = new FaultList();
  if (mappers === null || typeof mappers !== 'object' || Array.isArray(mappers)) {
    faults.add(() => ({
      pointer: '/mappers',
      code: 'mappersMalformed',
      message: 'mappers must be an object: mapper name to a list of values.',
    }));
  } else {
    for (const [name, values] of Object.entries(mappers)) addMapperFaults(faults, name, values);
  }
  return faults;
}

function addMapperFaults(faults: FaultList, name: string, values: unknown): void {
  const fault = (code: string, message: () => string, index?: number): void => {
    faults.add(() => ({
      pointer: pointerOf(['mappers', name, ...(index === undefined ? [] : [index])]),
      code,
      message: message(),
    }));
  };
  const known = mapperNames.find((mapper) => fold(mapper) === fold(name));
  if (known === undefined) {
    fault('mapperUnknown', () => `There is no mapper ${quoted(name)}; there are ${mapperNames.join(', ')}.`);
  } else if (!Array.isArray(values)) {
    fault('mapperMalformed', () => `The values of mapper ${name} must be a list.`);
  } else if (values.length === 0 && known !== 'always') {
    fault('mapperEmpty', () => `Mapper ${name} has no values, so nothing would match it.`);
  } else {
    values.forEach((value: unknown, index) => {
      if (isMapperValue(known, value)) return;
      fault('mapperValueMalformed', () => wrongValueText(known, name, value), index);
    });
  }
}

function isMapperValue(mapper: (typeof mapperNames)[number], value: unknown): boolean {
  if (typeof value !== 'string') return false;
  if (mapper === 'always') return fold(value) === 'true';
  return value.trim() !== '' && (mapper !== 'paramMap' || splitPair(value) !== undefined);
}

function wrongValueText(mapper: (typeof mapperNames)[number], name: string, value: unknown): string {
  if (mapper === 'always') return 'The mapper always takes no values, or "true".';
  if (typeof value !== 'string' || value.trim() === '')
    return `A value of mapper ${name} must be text that is not blank.`;
  return `A value of mapper ${name} must be key=value; it is ${quoted(value)}.`;
}

const mapperNames = ['operationName', 'operationType', 'paramMap', 'customerId', 'always'] as const;

/** The values that mappers compare, in lower case, gathered once per Agenda. */
interface Subject {
  readonly operationNames: ReadonlySet<string>;
  readonly operationTypes: ReadonlySet<string>;
  /** The values of each key. */
  readonly params: ReadonlyMap<string, ReadonlySet<string>>;
  readonly customerId: string;
}

function subjectOf(agenda: MappedAgenda, customerId: string): Subject {
  const params = new Map<string, Set<string>>();
  for (const source of [agenda.params, ...agenda.operations.map((operation) => operation.params)]) {
    for (const [key, value] of Object.entries(source ?? {})) {
      const text = textOf(value);
      if (text === undefined) continue;
      const values = params.get(fold(key)) ?? new Set();
      params.set(fold(key), values.add(fold(text)));
    }
  }
  return {
    operationNames: new Set(agenda.operations.map(({ name }) => fold(name))),
    operationTypes: new Set(agenda.operations.map(({ type }) => fold(type))),
    params,
    customerId: fold(customerId),
  };
}

function mayUse(insight: MappedInsight, customerId: string): boolean {
  return (
    insight.customerId === customerId ||
    insight.isGlobal ||
    insight.allowedCustomerIds.some((id) => fold(id) === fold(customerId))
  );
}

function matches(mappers: Mappers, subject: Subject): boolean {
  return Object.entries(mappers).some(
    ([name, values]) => fold(name) === 'always' || values.some((value) => valueMatches(name, value, subject)),
  );
}

/** A mapper that is not known matches nothing, so an older row never breaks a submission. */
function valueMatches(name: string, value: string, subject: Subject): boolean {
  switch (fold(name)) {
    case 'operationname':
      return subject.operationNames.has(fold(value));
    case 'operationtype':
      return subject.operationTypes.has(fold(value));
    case 'parammap': {
      const pair = splitPair(value);
      return pair !== undefined && subject.params.get(fold(pair.key))?.has(fold(pair.value)) === true;
    }
    case 'customerid':
      return fold(value) === subject.customerId;
    default:
      return false;
  }
}

/** `key=value` at the first `=`, blanks around it trimmed; undefined when either is missing. The value may hold `=`. */
function splitPair(text: string): { key: string; value: string } | undefined {
  const at = text.indexOf('=');
  if (at === -1) return undefined;
  const key = text.slice(0, at).trim();
  const value = text.slice(at + 1).trim();
  return key === '' || value === '' ? undefined : { key, value };
}

function byOrder(a: MappedInsight, b: MappedInsight): number {
  if (a.order !== b.order) return a.order - b.order;
  const [aTime, bTime] = [new Date(a.addedTime).getTime(), new Date(b.addedTime).getTime()];
  if (aTime !== bTime) return aTime - bTime;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** The text of a string, a number or a boolean. Null, lists and objects have none: no mapper can name them. */
function textOf(value: Json | undefined): string | undefined {
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value);
}

function ownValue(params: JsonObject | null | undefined, key: string): Json | undefined {
  return params !== null && params !== undefined && Object.hasOwn(params, key) ? params[key] : undefined;
}

function fold(text: string): string {
  return text.toLowerCase();
}

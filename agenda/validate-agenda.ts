/**
 * What is wrong with a submitted Agenda: every fault, with JSON pointers and stable codes, in the order of the document
 * and circles last. Time is linear in Operations + references; nothing recurses over Operations.
 *
 * Codes: noOperations, tooManyOperations, operationMalformed, operationNameMissing, operationNameTooLong,
 * operationNameMalformed, operationNameDuplicate, operationTypeMissing, operationTypeTooLong, operationTypeMalformed,
 * payloadTooLarge, payloadTooDeep (either keeps its references from being looked at), paramsTooDeep, dependsOnMalformed, weightInvalid, timeoutInvalid, unknownReference, unresolvedToken,
 * unknownDependency, tooManyReferences, circularReference, parallelismInvalid, maximumAttemptsInvalid.
 */
import { nodesOnCycles } from './cycles.ts';
import { indexesByName, mentionsOf, type OperationMentions, ownParam, resolveDependencies } from './dependencies.ts';
import { findReferences, marksIn, type Reference } from './references.ts';
import {
  type Agenda,
  type Fault,
  type Json,
  type JsonObject,
  maximumNameLength,
  maximumOperations,
  mostInFlight,
  type Operation,
} from './types.ts';
import { clip, depthFaults, labelOf, payloadFaults, show, validateOperation } from './validate-operation.ts';

/** Attempts an Agenda may ask for; also where automatic retries stop. */
export const mostAttempts = 20;
/** Attempts of an Agenda that does not say. */
export const defaultAttempts = 3;

/** Faults that are collected; a body of 32 MiB can hold millions. */
const mostFaults = 100_000;

/** References of all payloads of an Agenda together, counted by their beginnings `@<`. */
const mostReferences = 200_000;

/** Limits that a test or an operator may set otherwise. */
export interface AgendaLimits {
  readonly maximumOperations?: number;
}

/** Every fault of `agenda`; an empty list means it can run. Fields may be absent or null although their type says otherwise. */
export function validateAgenda(agenda: Agenda, limits: AgendaLimits = {}): Fault[] {
  const given: readonly unknown[] = Array.isArray(agenda.operations) ? agenda.operations : [];
  const operations = given.map((operation) => (isObject(operation) ? (operation as unknown as Operation) : undefined));
  const faults: Fault[] = [];
  const report = (more: readonly Fault[]): void => {
    for (const fault of more) if (faults.length < mostFaults) faults.push(fault);
  };
  report(agendaFaults(agenda));
  report(countFaults(agenda.operations, given.length, limits.maximumOperations ?? maximumOperations));

  const present = operations.map((operation) => operation ?? ({ name: '', type: '' } satisfies Operation));
  const indexes = indexesByName(present);
  const firstByFold = new Map<string, number>();
  const dependencies: number[][] = [];
  let marks = 0;
  operations.forEach((operation, index) => {
    const at = `/operations/${index}`;
    if (operation === undefined) {
      report([{ pointer: at, code: 'operationMalformed', message: 'An Operation must be an object with a name and a type.' }]);
      dependencies.push([]);
      return;
    }
    report(validateOperation(operation, at));
    report(duplicateFaults(operation.name, index, firstByFold, present));
    const unreadable = payloadFaults(operation, at);
    if (unreadable.length === 0) {
      marks += marksIn(operation.payload ?? null);
      if (marks > mostReferences) unreadable.push(tooManyReferences(operation, at));
    }
    report(unreadable);
    const mentions = mentionsOf(unreadable.length === 0 ? operation : { ...operation, payload: null });
    report(mentionFaults(operation, at, mentions, indexes));
    dependencies.push(resolveDependencies([...mentions.references, ...mentions.dependsOn], indexes));
  });
  for (const index of nodesOnCycles(dependencies)) {
    const message = `There is a circular reference involving the operation: ${labelOf(present[index]?.name)}`;
    report([{ pointer: `/operations/${index}`, code: 'circularReference', message }]);
  }
  return faults;
}

/** `params.maximumAttempts` as a number (numbers held as text count, as in POP), the default when absent, undefined when it is not an integer from 1 up; more than `mostAttempts` counts as that. */
export function maximumAttemptsOf(params: JsonObject | null | undefined): number | undefined {
  const given = ownParam(params, 'maximumAttempts') ?? defaultAttempts;
  const attempts = typeof given === 'string' && /^[0-9]{1,3}$/.test(given.trim()) ? Number(given) : given;
  return typeof attempts === 'number' && Number.isInteger(attempts) && attempts >= 1 ? Math.min(attempts, mostAttempts) : undefined;
}

function agendaFaults(agenda: Agenda): Fault[] {
  const faults: Fault[] = [];
  const parallelism: unknown = agenda.parallelism ?? 1;
  if (typeof parallelism !== 'number' || !Number.isInteger(parallelism) || parallelism < 1 || parallelism > mostInFlight) {
    const message = `parallelism must be an integer from 1 to ${mostInFlight}; it is ${show(parallelism)}.`;
    faults.push({ pointer: '/parallelism', code: 'parallelismInvalid', message });
  }
  if (maximumAttemptsOf(agenda.params) === undefined) {
    const message = `params.maximumAttempts must be an integer from 1 up (more than ${mostAttempts} counts as ${mostAttempts}); it is ${show(ownParam(agenda.params, 'maximumAttempts'))}.`;
    faults.push({ pointer: '/params/maximumAttempts', code: 'maximumAttemptsInvalid', message });
  }
  return [
    ...faults,
    ...depthFaults(agenda.params ?? null, '/params', 'paramsTooDeep', 'The params of the Agenda'),
    ...(['customerId', 'title', 'linkId', 'progressId', 'params'] as const).flatMap((field) =>
      templateTokenFaults(agenda[field], `/${field}`, 'the Agenda'),
    ),
  ];
}

function countFaults(operations: unknown, count: number, limit: number): Fault[] {
  const pointer = '/operations';
  if (operations !== undefined && operations !== null && !Array.isArray(operations)) {
    return [{ pointer, code: 'operationsInvalid', message: `operations must be a list; it is ${show(operations)}.` }];
  }
  if (count === 0) return [{ pointer, code: 'noOperations', message: 'No operations specified in Agenda.' }];
  if (count <= limit) return [];
  return [{ pointer, code: 'tooManyOperations', message: `An Agenda may have ${limit} Operations; this one has ${count}.` }];
}

function tooManyReferences(operation: Operation, at: string): Fault {
  const message = `The payloads of an Agenda may hold ${mostReferences} references; with operation [${labelOf(operation.name)}] there are more.`;
  return { pointer: `${at}/payload`, code: 'tooManyReferences', message };
}

/** Also enters the name, so that each later one is compared with the first. */
function duplicateFaults(name: unknown, index: number, firstByFold: Map<string, number>, operations: readonly Operation[]): Fault[] {
  if (typeof name !== 'string' || name.length > maximumNameLength || name.trim() === '') return [];
  const fold = name.toLowerCase();
  const first = firstByFold.get(fold);
  if (first === undefined) {
    firstByFold.set(fold, index);
    return [];
  }
  const message = `Operation names must be unique. [${clip(name)}] has the name of operation ${first} [${labelOf(operations[first]?.name)}], ignoring case.`;
  return [{ pointer: `/operations/${index}/name`, code: 'operationNameDuplicate', message }];
}

function mentionFaults(operation: Operation, at: string, mentions: OperationMentions, indexes: ReadonlyMap<string, number>): Fault[] {
  const faults: Fault[] = [];
  const invalid = (reference: Reference, code: string): void => {
    const why = code === 'unresolvedToken' ? ' is not resolved' : '';
    const message = `Invalid references found in operation [${labelOf(operation.name)}] payload: ${clip(reference.token)}${why}`;
    faults.push({ pointer: `${at}/payload${reference.path}`, code, message });
  };
  for (const reference of mentions.references) if (!indexes.has(reference.name)) invalid(reference, 'unknownReference');
  for (const reference of mentions.others) invalid(reference, reference.name.startsWith('pop.') ? 'unresolvedToken' : 'unknownReference');
  for (const { name, pointer } of mentions.dependsOn) {
    if (indexes.has(name)) continue;
    const message = `Operation [${labelOf(operation.name)}] depends on an unknown operation: ${clip(name)}`;
    faults.push({ pointer: at + pointer, code: 'unknownDependency', message });
  }
  return [
    ...faults,
    ...(['name', 'type', 'params'] as const).flatMap((field) =>
      templateTokenFaults(operation[field], `${at}/${field}`, `operation [${labelOf(operation.name)}]`),
    ),
  ];
}

/** Outside payloads nothing is replaced when an Agenda runs, so a template's token there was left by mistake. */
function templateTokenFaults(value: Json | undefined, pointer: string, where: string): Fault[] {
  if (value === undefined || value === null) return [];
  return findReferences(value)
    .filter(({ name }) => name === 'pop.payload' || name === 'pop.transformRequest')
    .map(({ token, path }) => ({
      pointer: pointer + path,
      code: 'unresolvedToken',
      message: `Unresolved token in ${where}: ${clip(token)}`,
    }));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

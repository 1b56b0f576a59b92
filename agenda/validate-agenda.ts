/**
 * What is wrong with a submitted Agenda: its first faults, with JSON pointers and stable codes, in the order of the
 * document and circles last, and how many there are. Time is linear in Operations + references; nothing recurses over
 * Operations, and no fault beyond the first ones is made (fault-list.ts).
 *
 * Codes: noOperations, tooManyOperations, operationMalformed, operationNameMissing, operationNameTooLong,
 * operationNameMalformed, operationNameDuplicate, operationTypeMissing, operationTypeTooLong, operationTypeMalformed,
 * payloadTooLarge, payloadTooDeep (either keeps its references from being looked at), paramsTooDeep,
 * dependsOnMalformed, weightInvalid, timeoutInvalid, unknownReference, unresolvedToken, unknownDependency,
 * tooManyReferences, circularReference, parallelismInvalid, maximumAttemptsInvalid.
 */
import { cut } from './cut.ts';
import { nodesOnCycles } from './cycles.ts';
import { ascending, indexesByName, ownParam, visitMentions } from './dependencies.ts';
import type { Path } from './depth.ts';
import { FaultList } from './fault-list.ts';
import { pointerOf } from './json-pointer.ts';
import { marksIn, type VisitedReference, visitReferences } from './references.ts';
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
import { addDepthFaults, checkPayload, labelOf, show, validateOperation } from './validate-operation.ts';

/** Attempts an Agenda may ask for; also where automatic retries stop. */
export const mostAttempts = 20;
/** Attempts of an Agenda that does not say. */
export const defaultAttempts = 3;

/** References of all payloads of an Agenda together, counted by their beginnings `@<`. */
const mostReferences = 200_000;

/** Limits that a test or an operator may set otherwise. */
export interface AgendaLimits {
  readonly maximumOperations?: number;
  /** Faults that are told; default as `FaultList`. */
  readonly mostFaults?: number;
}

/** The faults of `agenda`; none means it can run. Fields may be absent or null although their type says otherwise. */
export function validateAgenda(agenda: Agenda, limits: AgendaLimits = {}): FaultList {
  const given: readonly unknown[] = Array.isArray(agenda.operations) ? agenda.operations : [];
  const operations = given.map((operation) => (isObject(operation) ? (operation as unknown as Operation) : undefined));
  const faults = new FaultList(limits.mostFaults);
  addAgendaFaults(faults, agenda);
  faults.addAll(countFaults(agenda.operations, given.length, limits.maximumOperations ?? maximumOperations));

  const present = operations.map((operation) => operation ?? ({ name: '', type: '' } satisfies Operation));
  const indexes = indexesByName(present);
  const firstByFold = new Map<string, number>();
  const dependencies: number[][] = [];
  let marks = 0;
  operations.forEach((operation, index) => {
    const at = `/operations/${index}`;
    if (operation === undefined) {
      faults.add(() => ({
        pointer: at,
        code: 'operationMalformed',
        message: 'An Operation must be an object with a name and a type.',
      }));
      dependencies.push([]);
      return;
    }
    validateOperation(faults, operation, at);
    faults.addAll(duplicateFaults(operation.name, index, firstByFold, present));
    let isReadable = checkPayload(faults, operation, at);
    if (isReadable) {
      marks += marksIn(operation.payload ?? null);
      if (marks > mostReferences) {
        faults.add(() => tooManyReferences(operation, at));
        isReadable = false;
      }
    }
    dependencies.push(checkMentions(faults, isReadable ? operation : { ...operation, payload: null }, at, indexes));
    for (const field of ['name', 'type', 'params'] as const) {
      addTokenFaults(faults, operation[field], `${at}/${field}`, () => `operation [${labelOf(operation.name)}]`);
    }
  });
  for (const index of nodesOnCycles(dependencies)) {
    faults.add(() => {
      const message = `There is a circular reference involving the operation: ${labelOf(present[index]?.name)}`;
      return { pointer: `/operations/${index}`, code: 'circularReference', message };
    });
  }
  return faults;
}

/**
 * `params.maximumAttempts` as a number; numbers held as text count, as in POP. Absent: the default. Undefined when it
 * is not an integer from 1 up. A number above `mostAttempts` counts as `mostAttempts`.
 */
export function maximumAttemptsOf(params: JsonObject | null | undefined): number | undefined {
  const given = ownParam(params, 'maximumAttempts') ?? defaultAttempts;
  const attempts = typeof given === 'string' && /^[0-9]{1,3}$/.test(given.trim()) ? Number(given) : given;
  return typeof attempts === 'number' && Number.isInteger(attempts) && attempts >= 1
    ? Math.min(attempts, mostAttempts)
    : undefined;
}

function addAgendaFaults(faults: FaultList, agenda: Agenda): void {
  const parallelism: unknown = agenda.parallelism ?? 1;
  if (
    typeof parallelism !== 'number' ||
    !Number.isInteger(parallelism) ||
    parallelism < 1 ||
    parallelism > mostInFlight
  ) {
    const message = `parallelism must be an integer from 1 to ${mostInFlight}; it is ${show(parallelism)}.`;
    faults.add(() => ({ pointer: '/parallelism', code: 'parallelismInvalid', message }));
  }
  if (maximumAttemptsOf(agenda.params) === undefined) {
    const message =
      `params.maximumAttempts must be an integer from 1 up (more than ${mostAttempts} counts as ${mostAttempts}); ` +
      `it is ${show(ownParam(agenda.params, 'maximumAttempts'))}.`;
    faults.add(() => ({ pointer: '/params/maximumAttempts', code: 'maximumAttemptsInvalid', message }));
  }
  addDepthFaults(faults, agenda.params ?? null, '/params', 'paramsTooDeep', 'The params of the Agenda');
  for (const field of ['customerId', 'title', 'linkId', 'progressId', 'params'] as const) {
    addTokenFaults(faults, agenda[field], `/${field}`, () => 'the Agenda');
  }
}

function countFaults(operations: unknown, count: number, limit: number): Fault[] {
  const pointer = '/operations';
  if (operations !== undefined && operations !== null && !Array.isArray(operations)) {
    return [{ pointer, code: 'operationsInvalid', message: `operations must be a list; it is ${show(operations)}.` }];
  }
  if (count === 0) return [{ pointer, code: 'noOperations', message: 'No operations specified in Agenda.' }];
  if (count <= limit) return [];
  return [
    { pointer, code: 'tooManyOperations', message: `An Agenda may have ${limit} Operations; this one has ${count}.` },
  ];
}

function tooManyReferences(operation: Operation, at: string): Fault {
  const where = `with operation [${labelOf(operation.name)}] there are more`;
  const message = `The payloads of an Agenda may hold ${mostReferences} references; ${where}.`;
  return { pointer: `${at}/payload`, code: 'tooManyReferences', message };
}

/** Compares a name with those before it, and enters it for those after it. */
function duplicateFaults(
  name: unknown,
  index: number,
  firstByFold: Map<string, number>,
  operations: readonly Operation[],
): Fault[] {
  if (typeof name !== 'string' || name.length > maximumNameLength || name.trim() === '') return [];
  const fold = name.toLowerCase();
  const first = firstByFold.get(fold);
  if (first === undefined) {
    firstByFold.set(fold, index);
    return [];
  }
  const message =
    `Operation names must be unique. [${cut(name)}] has the name of ` +
    `operation ${first} [${labelOf(operations[first]?.name)}], ignoring case.`;
  return [{ pointer: `/operations/${index}/name`, code: 'operationNameDuplicate', message }];
}

/** Reports what an Operation names and there is not. @returns the indexes of those it depends on, ascending */
function checkMentions(
  faults: FaultList,
  operation: Operation,
  at: string,
  indexes: ReadonlyMap<string, number>,
): number[] {
  const found = new Set<number>();
  const invalid = ({ token }: VisitedReference, path: Path, code: string): Fault => {
    const why = code === 'unresolvedToken' ? ' is not resolved' : '';
    const message = `Invalid references found in operation [${labelOf(operation.name)}] payload: ${cut(token)}${why}`;
    return { pointer: `${at}/payload${pointerOf(path)}`, code, message };
  };
  visitMentions(operation, {
    reference: (name, reference, path) => {
      const index = indexes.get(name);
      if (index === undefined) faults.add(() => invalid(reference, path, 'unknownReference'));
      else found.add(index);
    },
    other: (reference, path) => {
      faults.add(() =>
        invalid(reference, path, reference.name.startsWith('pop.') ? 'unresolvedToken' : 'unknownReference'),
      );
    },
    dependsOn: (name, path) => {
      const index = indexes.get(name);
      if (index !== undefined) {
        found.add(index);
        return;
      }
      faults.add(() => {
        const message = `Operation [${labelOf(operation.name)}] depends on an unknown operation: ${cut(name)}`;
        return { pointer: at + pointerOf(path), code: 'unknownDependency', message };
      });
    },
  });
  return ascending(found);
}

/** Outside payloads nothing is replaced when an Agenda runs, so a template's token there was left by mistake. */
function addTokenFaults(faults: FaultList, value: Json | undefined, pointer: string, where: () => string): void {
  if (value === undefined || value === null) return;
  visitReferences(value, ({ name, token }, path) => {
    if (name !== 'pop.payload' && name !== 'pop.transformRequest') return;
    faults.add(() => ({
      pointer: pointer + pointerOf(path),
      code: 'unresolvedToken',
      message: `Unresolved token in ${where()}: ${cut(token)}`,
    }));
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

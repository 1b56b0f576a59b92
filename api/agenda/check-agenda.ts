/** From what was sent to an Agenda that can be stored: faults of form and of content in one answer. */
import { dependenciesOf } from '../../agenda/dependencies.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import { jsonBytes } from '../../agenda/json-bytes.ts';
import {
  type Agenda,
  type Fault,
  type Json,
  maximumOperations,
  maximumPayloadBytes,
  type Operation,
} from '../../agenda/types.ts';
import { validateAgenda } from '../../agenda/validate-agenda.ts';
import { addIssues, parseGiven } from '../http/faults.ts';
import { invalid, ProblemError } from '../http/problem.ts';
import { withoutNulls } from '../http/without-nulls.ts';
import { agendaSchema } from './agenda-schema.ts';

/** What a submission comes to when nothing is wrong with it. */
export interface CheckedAgenda {
  /** Without null fields. */
  readonly agenda: Agenda;
  /** Per Operation, the indexes of those it waits for. */
  readonly dependencies: readonly (readonly number[])[];
}

/**
 * `unknown` are faults of fields that were taken out of `body` before.
 *
 * @throws ProblemError 422 with the first faults; 413 when those are payloads that are too large and nothing else
 */
export function checkAgenda(body: unknown, unknown: FaultList = new FaultList()): CheckedAgenda {
  const checked = readAgenda(body, unknown);
  if (checked instanceof FaultList) throw refusalOf(checked);
  return checked;
}

/** The Agenda of a body, or what is wrong with it: the first `mostFaults`, and how many there are. */
export function readAgenda(body: unknown, unknown: FaultList, mostFaults?: number): CheckedAgenda | FaultList {
  const faults = new FaultList(mostFaults);
  // So many are not looked at one by one.
  const tooMany = countFaults(body);
  faults.addAll(tooMany);
  faults.addList(unknown);
  if (tooMany.length > 0) return faults;
  // Looks at what was sent, so a fault of form in one place hides none of content in another.
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  const limits = mostFaults === undefined ? {} : { mostFaults };
  if (isObject) faults.addList(validateAgenda(body as unknown as Agenda, limits));
  // Faults of form are found for who has room to read them.
  if (faults.isFull) return faults;
  const parsed = parseGiven(agendaSchema, body);
  if (!parsed.success) addIssues(faults, parsed.error, new Set(faults.first.map((fault) => fault.pointer)));
  if (isObject) addParamsFaults(faults, body);
  if (!parsed.success || faults.total > 0) return faults;
  const { id, progressId, ...given } = withoutNulls(parsed.data);
  // An Agenda that was read and is submitted again names the progress it had; the new one gets its own.
  const agenda = { ...given, ...(id === undefined && progressId !== undefined && { progressId }) } as Agenda & {
    operations: Operation[];
  };
  const operations = agenda.operations.map((operation) => {
    const given = withoutNulls(operation);
    return given.timeout === undefined ? given : { ...given, timeout: withoutNulls(given.timeout) };
  });
  const { peak } = agenda;
  return {
    agenda: { ...agenda, operations, ...(peak === undefined ? {} : { peak: withoutNulls(peak) }) },
    dependencies: dependenciesOf(operations),
  };
}

function countFaults(body: unknown): Fault[] {
  const operations = typeof body === 'object' && body !== null && 'operations' in body ? body.operations : undefined;
  if (!Array.isArray(operations) || operations.length <= maximumOperations) return [];
  const message = `An Agenda may have ${maximumOperations} Operations; this one has ${operations.length}.`;
  return [{ pointer: '/operations', code: 'tooManyOperations', message }];
}

function refusalOf(faults: FaultList): ProblemError {
  if (faults.first.some((fault) => fault.code !== 'payloadTooLarge')) return invalid(faults);
  return new ProblemError('payloadTooLarge', faults.first.map((fault) => fault.message).join(' '), { errors: faults });
}

/** Params are answered by lists, so they are kept as small as one payload. */
function addParamsFaults(faults: FaultList, body: { readonly params?: unknown; readonly operations?: unknown }): void {
  const operations: readonly unknown[] = Array.isArray(body.operations) ? body.operations : [];
  [body, ...operations].forEach((owner, index) => {
    if (typeof owner !== 'object' || owner === null || !('params' in owner)) return;
    const bytes = jsonBytes(owner.params as Json);
    if (bytes <= maximumPayloadBytes) return;
    const pointer = index === 0 ? '/params' : `/operations/${index - 1}/params`;
    const message = `${pointer} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.`;
    faults.add(() => ({ pointer, code: 'payloadTooLarge', message }));
  });
}

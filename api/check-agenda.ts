/** From what was sent to an Agenda that can be stored: all faults of form and of content in one answer. */
import { dependenciesOf } from '../agenda/dependencies.ts';
import { jsonBytes } from '../agenda/json-bytes.ts';
import { type Agenda, type Fault, type Json, maximumOperations, maximumPayloadBytes, type Operation } from '../agenda/types.ts';
import { validateAgenda } from '../agenda/validate-agenda.ts';
import { agendaSchema } from './agenda-schema.ts';
import { faultsOf, pointerOf } from './faults.ts';
import { invalid, ProblemError } from './problem.ts';

export interface CheckedAgenda {
  /** Without null fields. */
  readonly agenda: Agenda;
  /** Per Operation, the indexes of those it waits for. */
  readonly dependencies: readonly (readonly number[])[];
}

/**
 * `unknown` are faults of fields that were taken out of `body` before.
 *
 * @throws ProblemError 422 with every fault; 413 when the only faults are payloads that are too large
 */
export function checkAgenda(body: unknown, unknown: readonly Fault[] = []): CheckedAgenda {
  // So many are not looked at one by one.
  const tooMany = countFaults(body);
  if (tooMany.length > 0) throw invalid([...tooMany, ...unknown]);
  const parsed = agendaSchema.safeParse(body, { reportInput: true });
  const form = parsed.success ? [] : faultsOf(parsed.error);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid([...unknown, ...form]);
  // Looks at what was sent, so a fault of form in one place hides none of content in another.
  const content = validateAgenda(body as Agenda);
  const numbers = numberFaults(body);
  const told = new Set([...content, ...numbers].map((fault) => fault.pointer));
  const faults = [...unknown, ...content, ...form.filter((fault) => !told.has(fault.pointer)), ...numbers, ...paramsFaults(body)];
  if (faults.length > 0) {
    if (faults.some((fault) => fault.code !== 'payloadTooLarge')) throw invalid(faults);
    throw new ProblemError('payloadTooLarge', faults.map((fault) => fault.message).join(' '), { errors: faults });
  }
  if (!parsed.success) throw invalid(form);
  const { id, progressId, ...given } = withoutNulls(parsed.data);
  // An Agenda that was read and is submitted again names the progress it had; the new one gets its own.
  const agenda = { ...given, ...(id === undefined && progressId !== undefined && { progressId }) } as Agenda & { operations: Operation[] };
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

/** JSON can spell numbers that are not finite (`1e999`); they would come back as null. */
function numberFaults(root: object): Fault[] {
  const faults: Fault[] = [];
  const visit = (value: unknown, path: readonly PropertyKey[]): void => {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      const pointer = pointerOf(path);
      faults.push({ pointer, code: 'notFinite', message: `${pointer} holds a number that is too large to be kept.` });
    } else if (typeof value === 'object' && value !== null) {
      // Depth was limited when the body was parsed.
      for (const key in value) {
        const member = (value as Record<string, unknown>)[key];
        if (typeof member === 'number' ? !Number.isFinite(member) : typeof member === 'object' && member !== null)
          visit(member, [...path, key]);
      }
    }
  };
  visit(root, []);
  return faults;
}

/** Params are answered by lists, so they are kept as small as one payload. */
function paramsFaults(body: { readonly params?: unknown; readonly operations?: unknown }): Fault[] {
  const operations: readonly unknown[] = Array.isArray(body.operations) ? body.operations : [];
  return [body, ...operations].flatMap((owner, index) => {
    if (typeof owner !== 'object' || owner === null || !('params' in owner)) return [];
    const bytes = jsonBytes(owner.params as Json);
    if (bytes <= maximumPayloadBytes) return [];
    const pointer = index === 0 ? '/params' : `/operations/${index - 1}/params`;
    return [{ pointer, code: 'payloadTooLarge', message: `${pointer} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.` }];
  });
}

function withoutNulls<T extends object>(object: T): T {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(object)) if (value !== null && value !== undefined) kept[key] = value;
  return kept as T;
}

/** Payloads as handlers get them: references replaced by the results of Operations that succeeded. Pure. */
import { cut } from './cut.ts';
import type { FailureCodeOf } from './failure.ts';
import { mostFaults } from './fault-list.ts';
import { valueAt } from './json-pointer.ts';
import { findReferences, type Known, knownWhole, replaceReferences } from './references.ts';
import { resolvedBytes } from './resolved-bytes.ts';
import { type DiagnosticEvent, type Json, maximumResolvedPayloadBytes } from './types.ts';

/** Most bytes of all results together that one payload may name. */
export const maximumReferencedBytes = 16 * 1024 * 1024;

/** An Operation whose payload is asked for. */
export interface OperationToResolve {
  readonly agendaId: string;
  readonly name: string;
  /** JSON text as submitted; null = none. */
  readonly payload: string | null;
}

/** The payload as JSON text, or why it cannot be had. */
export type ResolvedPayload = { readonly payload: string } | { readonly fault: PayloadFault };

/** Why there is no payload. */
export type PayloadFault = DiagnosticEvent & { readonly code: FailureCodeOf<'data'> };

/** The Operations whose results a payload refers to, by name, with the pointers into each. */
export type ReferredTo = ReadonlyMap<string, ReadonlySet<string>>;

/** What a payload refers to. */
export function referredTo(payload: string | null): ReferredTo {
  const all = new Map<string, Set<string>>();
  if (payload === null || !payload.includes('@<')) return all;
  for (const { name, pointer = '' } of findReferences(JSON.parse(payload) as Json)) {
    if (!name.endsWith('.out')) continue;
    const other = name.slice(0, -'.out'.length);
    all.set(other, (all.get(other) ?? new Set()).add(pointer));
  }
  return all;
}

/** No more of a result than what is pointed to: parsed, it may take twenty times the memory of its text. */
export function pointedTo(result: Json, pointers: ReadonlySet<string>): Known {
  return knownIn(valuesAt(result, pointers));
}

function valuesAt(result: Json, pointers: ReadonlySet<string>): ReadonlyMap<string, Json | undefined> {
  return new Map([...pointers].map((pointer) => [pointer, valueAt(result, pointer)]));
}

/** A function of its own: one made beside the search would keep the whole result for as long as it lives itself. */
const knownIn =
  (values: ReadonlyMap<string, Json | undefined>): Known =>
  (pointer) =>
    values.get(pointer);

/** Why these results are too much for one payload; undefined when they are not. To be asked before they are read. */
export function referencedFault(
  operation: string,
  results: readonly { readonly name: string; readonly bytes: number }[],
): PayloadFault | undefined {
  const together = results.reduce((sum, { bytes }) => sum + bytes, 0);
  if (together <= maximumReferencedBytes) return undefined;
  const named = sizes(results.map(({ name, bytes }) => ({ name: `${name}.out`, bytes })));
  const what = `The payload of Operation ${operation} refers to results of ${together} bytes together`;
  return fault('payloadTooLarge', `${what}; the limit is ${maximumReferencedBytes}. ${named}`);
}

/** The payload with its references replaced; `results` has what it refers to, by the names of their Operations. */
export function resolvePayload(
  { agendaId, name, payload }: OperationToResolve,
  results: ReadonlyMap<string, Known>,
): ResolvedPayload {
  if (payload === null) return { payload: 'null' };
  if (!payload.includes('@<')) return { payload };
  const values = new Map<string, Known>([
    ['pop.agendaId', knownWhole(agendaId)],
    ['pop.operationName', knownWhole(name)],
    ...[...results].map(([other, known]) => [`${other}.out`, known] as const),
  ]);
  const lookup = (key: string) => values.get(key);
  const submitted = JSON.parse(payload) as Json;
  // Measured before it is made: a small payload can name a large result many times.
  const measured = resolvedBytes(submitted, lookup);
  if (measured.bytes > maximumResolvedPayloadBytes) {
    const limit = `the limit is ${maximumResolvedPayloadBytes}. ${sizes(measured.names)}`;
    const bytes = `${measured.bytes} bytes with its references replaced`;
    return { fault: fault('payloadTooLarge', `The payload of Operation ${name} has ${bytes}; ${limit}`) };
  }
  const { value, missing, invalid } = replaceReferences(submitted, lookup);
  if (missing.length === 0 && invalid.length === 0) return { payload: JSON.stringify(value) };
  const first = [
    ...missing.slice(0, mostFaults).map((reference) => `@<${cut(reference)}>`),
    ...invalid.slice(0, mostFaults).map(({ token }) => cut(token)),
  ].slice(0, mostFaults);
  const more = missing.length + invalid.length - first.length;
  const rest = more > 0 ? `, and ${more} more` : '';
  const message = `Operation ${name} has invalid references: ${first.join(', ')}${rest}`;
  return { fault: fault('invalidReference', message) };
}

/** The largest of what is referenced, for a message. */
function sizes(referenced: readonly { readonly name: string; readonly bytes: number }[]): string {
  const largest = referenced.toSorted((a, b) => b.bytes - a.bytes).slice(0, 10);
  return `Referenced: ${largest.map(({ name, bytes }) => `${cut(name)} ${bytes}`).join(', ')}`;
}

const fault = (code: FailureCodeOf<'data'>, message: string): PayloadFault => ({ code, message, time: Date.now() });

/** Reads the fields of a media payload, with a clear failure for what is missing or of the wrong kind. */
import { fail, type Json, type JsonObject } from '../../handler/index.ts';

export function fieldsOf(payload: Json): JsonObject {
  if (typeof payload === 'object' && payload !== null && !Array.isArray(payload)) return payload as JsonObject;
  fail('The payload is not an object.', { code: 'invalidPayload' });
}

export function textField(fields: JsonObject, name: string): string {
  const value = fields[name];
  if (typeof value === 'string' && value !== '') return value;
  fail(`"${name}" must be a text; it is ${JSON.stringify(value)}.`, { code: 'invalidPayload' });
}

/** A number above 0; undefined when absent. */
export function numberField(fields: JsonObject, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  fail(`"${name}" must be a number above 0; it is ${JSON.stringify(value)}.`, { code: 'invalidPayload' });
}

/** The nearest even number: what most encoders want of a side. */
export function even(value: number): number {
  return Math.max(2, Math.round(value / 2) * 2);
}

/** Reads the fields of a media payload, with a clear failure for what is missing or of the wrong kind. */
import { extname } from 'node:path';
import { fail, type Json, type JsonObject, openTarget, type Target } from '../../handler/index.ts';

/** The fields of a payload; a payload that is no object fails the Operation. */
export function fieldsOf(payload: Json): JsonObject {
  if (typeof payload === 'object' && payload !== null && !Array.isArray(payload)) return payload as JsonObject;
  fail('The payload is not an object.', { code: 'invalidPayload' });
}

/** A field that must be a text and not empty. */
export function textField(fields: JsonObject, name: string): string {
  const value = fields[name];
  if (typeof value === 'string' && value !== '') return value;
  fail(`"${name}" must be a text; it is ${JSON.stringify(value)}.`, { code: 'invalidPayload' });
}

/** A place below `writeRoots` for what the handler makes; stays open, for a handler ends with its process. */
export function targetField(fields: JsonObject, name: string): Target {
  return openTarget(textField(fields, name), name);
}

const pictures = ['.jpg', '.jpeg', '.png', '.webp', '.bmp'];

/** As `targetField`, for a picture: its ending says which kind. */
export function pictureField(fields: JsonObject, name: string): Target {
  const asked = textField(fields, name);
  if (pictures.includes(extname(asked).toLowerCase())) return openTarget(asked, name);
  fail(`"${name}" must end in ${pictures.join(', ')}; it is ${JSON.stringify(asked.slice(0, 200))}.`, {
    code: 'invalidPayload',
  });
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

/**
 * What a handler is given, by whichever transport it came: argument file, environment, compressed environment, named
 * file, property.
 */
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { type Fields, readText } from './fields.ts';
import type { Json, JsonObject } from './types.ts';

/** The ids of the work, as far as they are told; an id that is not told is empty. */
export interface OperationFacts {
  readonly agendaId: string;
  readonly customerId: string;
  readonly operationId: string;
  readonly operationName: string;
  readonly progressId: string;
  readonly cid: string;
  /** 1 at first, more when the Operation runs again. */
  readonly attempt: number;
}

/**
 * The payload; null when none was given.
 * @throws when it cannot be read or is not JSON.
 */
export function readPayload(fields: Fields): Json {
  const text =
    readText(fields.argument('payloadFile')) ??
    fields.environment('PAYLOAD') ??
    decompress(fields) ??
    readParts(fields) ??
    fields.property('PAYLOAD');
  return text === undefined || text.trim() === '' ? null : (JSON.parse(text) as Json);
}

/**
 * The OperationProgress of the attempt before; undefined on the first one.
 * @throws when it cannot be read or is not JSON.
 */
export function readLastProgress(fields: Fields): JsonObject | undefined {
  const text =
    readText(fields.argument('lastProgressFile')) ??
    fields.environment('LAST_PROGRESS') ??
    readText(fields.environment('POP_LAST_PROGRESS_FILE')) ??
    fields.property('LAST_PROGRESS');
  if (text === undefined || text.trim() === '') return undefined;
  const value = JSON.parse(text) as Json;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Reads the ids of the work. */
export function readFacts(fields: Fields): OperationFacts {
  const told = (name: string): string => fields.environment(name) ?? fields.property(name) ?? '';
  return {
    agendaId: told('AGENDA_ID'),
    customerId: told('CUSTOMER_ID'),
    operationId: told('OPERATION_ID'),
    operationName: told('OPERATION_NAME'),
    progressId: told('PROGRESS_ID'),
    cid: told('CID'),
    attempt: Number(told('POP_ATTEMPT') || 1),
  };
}

/**
 * The named file; in a Pod a large payload is several, and the others stand beside it. They are cut between bytes, so
 * they become text together.
 */
function readParts(fields: Fields): string | undefined {
  const path = fields.environment('POP_PAYLOAD_FILE');
  if (path === undefined) return undefined;
  const parts = Number(fields.environment('POP_PAYLOAD_PARTS') ?? 1);
  const paths = [path, ...Array.from({ length: parts - 1 }, (_, n) => `${path}.${n + 1}`)];
  return Buffer.concat(paths.map((part) => readFileSync(part))).toString('utf8');
}

/** POP's segments: zlib and base64, cut in pieces that one variable can hold. */
function decompress(fields: Fields): string | undefined {
  if (fields.environment('POP_PAYLOAD_TYPE') !== 'compressedEnvVar') return undefined;
  const segments: string[] = [];
  for (
    let segment = fields.environment('POP_COMPRESSED_PAYLOAD_0');
    segment !== undefined;
    segment = fields.environment(`POP_COMPRESSED_PAYLOAD_${segments.length}`)
  ) {
    segments.push(segment);
  }
  return segments.length === 0 ? undefined : inflateSync(Buffer.from(segments.join(''), 'base64')).toString('utf8');
}

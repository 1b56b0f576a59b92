/**
 * What a handler is given, by whichever transport it came: argument file, environment, compressed environment, named
 * file.
 */
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import type { Json, JsonObject } from './types.ts';

/** The ids of the work, as far as the environment names them; an id that it does not name is empty. */
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
export function readPayload(parameters: readonly string[], environment: NodeJS.ProcessEnv): Json {
  const text =
    readText(argument(parameters, '-payloadFile')) ??
    environment.PAYLOAD ??
    decompress(environment) ??
    readText(environment.POP_PAYLOAD_FILE);
  return text === undefined || text.trim() === '' ? null : (JSON.parse(text) as Json);
}

/**
 * The OperationProgress of the attempt before; undefined on the first one.
 * @throws when it cannot be read or is not JSON.
 */
export function readLastProgress(
  parameters: readonly string[],
  environment: NodeJS.ProcessEnv,
): JsonObject | undefined {
  const text =
    readText(argument(parameters, '-lastProgressFile')) ??
    environment.LAST_PROGRESS ??
    readText(environment.POP_LAST_PROGRESS_FILE);
  if (text === undefined || text.trim() === '') return undefined;
  const value = JSON.parse(text) as Json;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Reads the ids of the work from the environment. */
export function readFacts(environment: NodeJS.ProcessEnv): OperationFacts {
  return {
    agendaId: environment.AGENDA_ID ?? '',
    customerId: environment.CUSTOMER_ID ?? '',
    operationId: environment.OPERATION_ID ?? '',
    operationName: environment.OPERATION_NAME ?? '',
    progressId: environment.PROGRESS_ID ?? '',
    cid: environment.CID ?? '',
    attempt: Number(environment.POP_ATTEMPT ?? 1),
  };
}

function argument(parameters: readonly string[], name: string): string | undefined {
  const index = parameters.indexOf(name);
  return index < 0 ? undefined : parameters[index + 1];
}

function readText(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, 'utf8');
}

/** POP's segments: zlib and base64, cut in pieces that one variable can hold. */
function decompress(environment: NodeJS.ProcessEnv): string | undefined {
  if (environment.POP_PAYLOAD_TYPE !== 'compressedEnvVar') return undefined;
  const segments: string[] = [];
  for (
    let segment = environment.POP_COMPRESSED_PAYLOAD_0;
    segment !== undefined;
    segment = environment[`POP_COMPRESSED_PAYLOAD_${segments.length}`]
  ) {
    segments.push(segment);
  }
  return segments.length === 0 ? undefined : inflateSync(Buffer.from(segments.join(''), 'base64')).toString('utf8');
}

/**
 * The environment that the handler contract promises, wherever a handler runs; its launcher says where the files are.
 */
import { deflateSync } from 'node:zlib';
import { fenceOf } from '../messages/resource-pool.ts';
import type { AllowedCommand } from './allowed-commands.ts';
import { type HandlerRun, LaunchError } from './launcher.ts';
import { maximumCompressedCharacters, maximumVariableBytes } from './variable-bytes.ts';

/** Characters of one segment of a compressed payload, as POP cuts them. */
const segmentCharacters = 100_000;

/** Where the handler finds its files; one that is absent is not there. */
export interface ContractFiles {
  readonly payload?: string;
  /** How many files the payload is cut into: `payload`, and beside it the same name with `.1`, `.2` … Absent: one. */
  readonly payloadParts?: number;
  readonly lastProgress?: string;
  readonly token?: string;
  readonly progress?: string;
  readonly result: string;
}

/** Fields of a registry entry that a handler is told. */
export interface ToldSettings {
  readonly payloadTransport: 'envVar' | 'compressedEnvVar';
  /** What the handler may run when a payload asks for it. Absent: nothing. */
  readonly commands?: readonly AllowedCommand[];
  /** Absolute folders below which the handler may read what a payload names. Absent: nothing. */
  readonly readRoots?: readonly string[];
  /** As `readRoots`, to write, replace and remove. */
  readonly writeRoots?: readonly string[];
}

/** The variables that a handler has where its registry entry says nothing else: the worker's own `LOG_LEVEL`. */
export function usualEnvironment(worker: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return { LOG_LEVEL: worker.LOG_LEVEL || 'info' };
}

/**
 * The variables of a run. A large payload is left out or compressed; its file holds it.
 * @throws LaunchError `payloadTooLarge`, when it is to be in variables and is too large for them even compressed.
 */
export function contractEnvironment(
  run: Omit<HandlerRun, 'settings'>,
  told: ToldSettings,
  files: ContractFiles,
): Record<string, string> {
  return {
    CID: run.cid,
    AGENDA_ID: run.agendaId,
    CUSTOMER_ID: run.customerId,
    OPERATION_ID: run.operationId,
    OPERATION_NAME: run.operation,
    PROGRESS_ID: run.progressId,
    MY_POD_NAME: run.key,
    POP_ATTEMPT: String(run.operationAttempt),
    ...(run.traceparent !== undefined && { TRACEPARENT: run.traceparent }),
    ...allowances(told),
    ...payload(run, told, files),
    ...(files.lastProgress !== undefined && { POP_LAST_PROGRESS_FILE: files.lastProgress }),
    ...(run.lastProgress !== undefined && fitsInVariable(run.lastProgress) && { LAST_PROGRESS: run.lastProgress }),
    ...reportAccess(run, files),
    ...(files.progress !== undefined && { POP_PROGRESS_FILE: files.progress }),
    POP_RESULT_FILE: files.result,
  };
}

/** POP's arguments, for handlers that were built for it. */
export function contractArguments(launchType: 'local' | 'docker' | 'kubernetes', files: ContractFiles): string[] {
  return [
    ...['-launchType', launchType, '-externalLaunchType', launchType],
    ...(files.payload === undefined ? [] : ['-payloadFile', files.payload]),
    ...(files.lastProgress === undefined ? [] : ['-lastProgressFile', files.lastProgress]),
  ];
}

/** Whether one variable may hold the text. It cannot hold NUL; JSON text never needs to. */
export function fitsInVariable(text: string): boolean {
  return Buffer.byteLength(text) <= maximumVariableBytes && !text.includes('\0');
}

function payload(
  run: Omit<HandlerRun, 'settings'>,
  { payloadTransport }: ToldSettings,
  files: ContractFiles,
): Record<string, string> {
  const { payload: path, payloadParts = 1 } = files;
  const file = {
    ...(path !== undefined && { POP_PAYLOAD_FILE: path }),
    ...(payloadParts > 1 && { POP_PAYLOAD_PARTS: String(payloadParts) }),
  };
  if (payloadTransport === 'envVar')
    return { ...file, POP_PAYLOAD_TYPE: 'envVar', ...(fitsInVariable(run.payload) && { PAYLOAD: run.payload }) };
  return { ...file, POP_PAYLOAD_TYPE: 'compressedEnvVar', ...compressedSegments(run) };
}

function compressedSegments({ operation, payload }: Omit<HandlerRun, 'settings'>): Record<string, string> {
  const compressed = deflateSync(payload).toString('base64');
  if (compressed.length > maximumCompressedCharacters)
    throw new LaunchError(
      'payloadTooLarge',
      `The payload of Operation ${operation} has ${Buffer.byteLength(payload)} bytes, and ${compressed.length} ` +
        `characters compressed; its type takes it in variables ("payloadTransport": "compressedEnvVar"), and the ` +
        `limit there is ${maximumCompressedCharacters}. By file ("envVar", POP_PAYLOAD_FILE) it may be larger.`,
    );
  const segments: Record<string, string> = {};
  for (let index = 0; index * segmentCharacters < compressed.length; index += 1) {
    segments[`POP_COMPRESSED_PAYLOAD_${index}`] = compressed.slice(
      index * segmentCharacters,
      (index + 1) * segmentCharacters,
    );
  }
  return segments;
}

/** What the registry lets the handler do for a payload that asks for it; the registry bounds each. */
function allowances({ commands, readRoots, writeRoots }: ToldSettings): Record<string, string> {
  return {
    ...(commands !== undefined && { POP_COMMANDS: JSON.stringify(commands) }),
    ...(readRoots !== undefined && { POP_READ_ROOTS: JSON.stringify(readRoots) }),
    ...(writeRoots !== undefined && { POP_WRITE_ROOTS: JSON.stringify(writeRoots) }),
  };
}

/** Where the token is, never the token: an environment is read by every child, and by whoever may look into /proc. */
function reportAccess(run: Omit<HandlerRun, 'settings'>, { token }: ContractFiles): Record<string, string> {
  if (run.report === undefined || token === undefined) return {};
  return { POP_URL: run.report.url, POP_TOKEN_FILE: token, POP_LAUNCH: JSON.stringify(fenceOf(run)) };
}

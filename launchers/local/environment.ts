/** Builds the environment of a handler: the handler contract, and a short list of the worker's own variables. */
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { fenceOf } from '../../messages/resource-pool.ts';
import { maximumVariableBytes } from '../variable-bytes.ts';
import type { LocalRun } from './local-run.ts';
import { fileNames } from './run-files.ts';

/** Characters of one segment of a compressed payload, as POP cuts them. */
const segmentCharacters = 100_000;

/** The only variables that a handler inherits from the worker: never its keys or addresses. */
const inherited = ['PATH', 'HOME', 'USER', 'TMPDIR', 'LANG', 'LC_ALL', 'TZ', 'LOG_LEVEL'] as const;

/**
 * The environment of a handler. A large payload is left out or compressed; the files of the run directory always hold
 * it.
 */
export function handlerEnvironment(
  run: LocalRun,
  directory: string,
  worker: NodeJS.ProcessEnv,
): Record<string, string> {
  const environment: Record<string, string> = { LOG_LEVEL: 'info' };
  for (const name of inherited) {
    const value = worker[name];
    if (value !== undefined) environment[name] = value;
  }
  return {
    ...environment,
    ...run.settings.envVars,
    CID: run.cid,
    AGENDA_ID: run.agendaId,
    CUSTOMER_ID: run.customerId,
    OPERATION_ID: run.operationId,
    OPERATION_NAME: run.operation,
    PROGRESS_ID: run.progressId,
    MY_POD_NAME: run.key,
    POP_ATTEMPT: String(run.operationAttempt),
    ...(run.traceparent !== undefined && { TRACEPARENT: run.traceparent }),
    ...allowances(run),
    ...payload(run, directory),
    ...lastProgress(run, directory),
    ...reportAccess(run, directory),
    POP_PROGRESS_FILE: join(directory, fileNames.progress),
    POP_RESULT_FILE: join(directory, fileNames.result),
  };
}

/** POP's arguments, for handlers that were built for it. */
export function handlerArguments(run: LocalRun, directory: string): string[] {
  if (run.settings.contract !== 'pop1') return [];
  const files = ['-payloadFile', join(directory, fileNames.payload)];
  if (run.lastProgress !== undefined) files.push('-lastProgressFile', join(directory, fileNames.lastProgress));
  return ['-launchType', 'local', '-externalLaunchType', 'local', ...files];
}

function payload(run: LocalRun, directory: string): Record<string, string> {
  const file = { POP_PAYLOAD_FILE: join(directory, fileNames.payload) };
  if (run.settings.payloadTransport === 'compressedEnvVar') {
    const compressed = deflateSync(run.payload).toString('base64');
    const segments: Record<string, string> = {};
    for (let index = 0; index * segmentCharacters < compressed.length; index += 1) {
      segments[`POP_COMPRESSED_PAYLOAD_${index}`] = compressed.slice(
        index * segmentCharacters,
        (index + 1) * segmentCharacters,
      );
    }
    return { ...file, POP_PAYLOAD_TYPE: 'compressedEnvVar', ...segments };
  }
  return { ...file, POP_PAYLOAD_TYPE: 'envVar', ...(fits(run.payload) && { PAYLOAD: run.payload }) };
}

function lastProgress(run: LocalRun, directory: string): Record<string, string> {
  if (run.lastProgress === undefined) return {};
  const file = { POP_LAST_PROGRESS_FILE: join(directory, fileNames.lastProgress) };
  return { ...file, ...(fits(run.lastProgress) && { LAST_PROGRESS: run.lastProgress }) };
}

/** What the registry lets the handler do for a payload that asks for it; the registry bounds each. */
function allowances({ settings: { commands, readRoots, writeRoots } }: LocalRun): Record<string, string> {
  return {
    ...(commands !== undefined && { POP_COMMANDS: JSON.stringify(commands) }),
    ...(readRoots !== undefined && { POP_READ_ROOTS: JSON.stringify(readRoots) }),
    ...(writeRoots !== undefined && { POP_WRITE_ROOTS: JSON.stringify(writeRoots) }),
  };
}

/** Where the token is, never the token: an environment is read by every child, and by whoever may look into /proc. */
function reportAccess(run: LocalRun, directory: string): Record<string, string> {
  if (run.report === undefined) return {};
  return {
    POP_URL: run.report.url,
    POP_TOKEN_FILE: join(directory, fileNames.token),
    POP_LAUNCH: JSON.stringify(fenceOf(run)),
  };
}

/** A variable cannot hold NUL; JSON text never needs to. */
function fits(text: string): boolean {
  return Buffer.byteLength(text) <= maximumVariableBytes && !text.includes('\0');
}

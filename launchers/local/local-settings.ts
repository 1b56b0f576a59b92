/** What the registry says of a type that is launched as a child process. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { type AllowedCommand, commandsSchema } from '../allowed-commands.ts';
import type { Limits } from '../limits.ts';
import { rootsSchema } from '../roots.ts';

/** The registry entry of a `launch: "local"` type, all layers resolved. */
export interface LocalSettings extends Limits {
  readonly launch: 'local';
  /**
   * Program and its first arguments. A program with a slash is absolute, the word `node` is this Node, others are
   * looked up in PATH.
   */
  readonly command: readonly string[];
  /** Follow `command`. */
  readonly arguments: readonly string[];
  readonly envVars: Readonly<Record<string, string>>;
  /** What the handler may run when a payload asks for it. Absent: nothing. */
  readonly commands?: readonly AllowedCommand[];
  /** Absolute folders below which the handler may read what a payload names. Absent: nothing. */
  readonly readRoots?: readonly string[];
  /** As `readRoots`, to write, replace and remove. */
  readonly writeRoots?: readonly string[];
  /** The handler's working directory: the registry file's. */
  readonly folder: string;
  readonly resultFrom: 'file' | 'lastLogLine';
  /** `pop1`: the ending is what the progress report says; the exit code is ignored. */
  readonly contract: 'pop2' | 'pop1';
  /** With `pop1`: a handler that came to its end prints this text. */
  readonly endOfLogIdentifier: string;
  readonly payloadTransport: 'envVar' | 'compressedEnvVar';
  /** Most bytes of output that are kept: the last ones. */
  readonly logBytes: number;
}

const text = z.string().regex(/^[^\0]*$/, 'must not contain a NUL character');
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The fields of a `podConfig` that mean something to this launcher; `environment` fills `${NAME}` in roots. */
export const localFields = (folder: string, environment: NodeJS.ProcessEnv) => ({
  command: z.array(text).min(1).optional(),
  arguments: z.array(text).optional(),
  envVars: z.record(z.string().regex(variableName, 'is not a name of an environment variable'), text).optional(),
  commands: commandsSchema.optional(),
  readRoots: rootsSchema(folder, environment).optional(),
  writeRoots: rootsSchema(folder, environment).optional(),
  resultFrom: z.enum(['file', 'lastLogLine']).optional(),
  contract: z.enum(['pop2', 'pop1']).optional(),
  endOfLogIdentifier: z.string().min(1).optional(),
  payloadTransport: z.enum(['envVar', 'compressedEnvVar']).optional(),
  logBytes: z.number().int().min(1_024).max(16_777_216).optional(),
});

/** These fields as parsed. */
export type LocalFields = z.output<z.ZodObject<ReturnType<typeof localFields>>>;

/** The entry of merged layers; undefined without a `command`. */
export function localSettings(fields: LocalFields, limits: Limits, folder: string): LocalSettings | undefined {
  const [program, ...rest] = fields.command ?? [];
  if (program === undefined) return undefined;
  const { commands, readRoots, writeRoots } = fields;
  return {
    launch: 'local',
    ...limits,
    command: [locate(program, folder), ...rest],
    arguments: fields.arguments ?? [],
    envVars: fields.envVars ?? {},
    ...(commands !== undefined && { commands }),
    ...(readRoots !== undefined && { readRoots }),
    ...(writeRoots !== undefined && { writeRoots }),
    folder,
    resultFrom: fields.resultFrom ?? 'file',
    contract: fields.contract ?? 'pop2',
    endOfLogIdentifier: fields.endOfLogIdentifier ?? 'HandlerComplete',
    payloadTransport: fields.payloadTransport ?? 'envVar',
    logBytes: fields.logBytes ?? 1024 * 1024,
  };
}

/** As a shell does: a program with a slash is a path, one without is looked up in PATH when it starts. */
function locate(program: string, folder: string): string {
  if (program === 'node') return process.execPath;
  return program.includes('/') ? resolve(folder, program) : program;
}

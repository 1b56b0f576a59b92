/** What the registry says of a type that a program performs, in a process or a container. */
import { z } from 'zod';
import { commandsSchema } from './allowed-commands.ts';
import type { ToldSettings } from './contract-environment.ts';
import type { EndSettings } from './outcome.ts';
import { rootsSchema } from './roots.ts';

/** The part of a registry entry that all launchers of programs read, all layers resolved. */
export interface ProgramSettings extends EndSettings, ToldSettings {
  /** Follow the command. */
  readonly arguments: readonly string[];
  readonly envVars: Readonly<Record<string, string>>;
  /** Most bytes of output that are kept: the last ones. */
  readonly logBytes: number;
}

const text = z.string().regex(/^[^\0]*$/, 'must not contain a NUL character');
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The fields of a `podConfig` that mean something to all of them; `environment` fills `${NAME}` in roots. */
export const programFields = (folder: string, environment: NodeJS.ProcessEnv) => ({
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
export type ProgramFields = z.output<z.ZodObject<ReturnType<typeof programFields>>>;

/** What merged layers say of the program; its command is the launcher's matter. */
export function programSettings(fields: ProgramFields): ProgramSettings {
  const { commands, readRoots, writeRoots } = fields;
  return {
    arguments: fields.arguments ?? [],
    envVars: fields.envVars ?? {},
    ...(commands !== undefined && { commands }),
    ...(readRoots !== undefined && { readRoots }),
    ...(writeRoots !== undefined && { writeRoots }),
    resultFrom: fields.resultFrom ?? 'file',
    contract: fields.contract ?? 'pop2',
    endOfLogIdentifier: fields.endOfLogIdentifier ?? 'HandlerComplete',
    payloadTransport: fields.payloadTransport ?? 'envVar',
    logBytes: fields.logBytes ?? 1024 * 1024,
  };
}

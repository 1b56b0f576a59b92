/**
 * The registry: which program performs an operation type, and how it is treated.
 * A JSON file `{ "basePodConfig": {…}, "<type>": { "podConfig": {…} } }`. Layers, later wins, a whole field at a time:
 * the defaults below < `basePodConfig` < the type's `podConfig`. Lists and maps are replaced, never merged.
 * A field that would do nothing in this version is refused, so that nobody believes in a setting that is not there.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { cut } from '../agenda/cut.ts';
import { FaultList } from '../agenda/fault-list.ts';
import { pointerOf } from '../agenda/json-pointer.ts';
import type { OperationTimeout } from '../agenda/types.ts';
import { type AllowedCommand, commandsSchema } from './allowed-commands.ts';
import { lineOfField, lineOfSyntaxError } from './registry-lines.ts';
import { rootsSchema } from './roots.ts';

/** The registry entry of one operation type, all layers resolved. */
export interface HandlerSettings {
  /** `local`: a child process; `inProcess`: a function in the pool worker, named by `function`. */
  readonly launch: 'local' | 'inProcess';
  /**
   * Program and its first arguments; empty with `inProcess`. A program with a slash is absolute, the word `node` is
   * this Node, and any other program is looked up in PATH.
   */
  readonly command: readonly string[];
  /** Name of the function of an `inProcess` type. */
  readonly function?: string;
  /** Arguments that follow `command`. */
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
  readonly scheduledSeconds: number;
  /** Absent: silence is no fault. */
  readonly quietSeconds?: number;
  /** Absent: it may run for ever. */
  readonly runSeconds?: number;
  /** Seconds between SIGTERM and SIGKILL. */
  readonly graceSeconds: number;
  readonly resultFrom: 'file' | 'lastLogLine';
  /** `pop1`: the ending is what the progress report says; the exit code is ignored. */
  readonly contract: 'pop2' | 'pop1';
  /** With `pop1`: a handler that came to its end prints this text. */
  readonly endOfLogIdentifier: string;
  readonly payloadTransport: 'envVar' | 'compressedEnvVar';
  /** Most bytes of output that are kept: the last ones. */
  readonly logBytes: number;
}

/** A registry as read from its file. */
export interface Registry {
  readonly path: string;
  readonly types: ReadonlyMap<string, HandlerSettings>;
}

/** The registry file cannot be used; the message names file, line and field. */
export class RegistryError extends Error {
  readonly code = 'registryInvalid';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RegistryError';
  }
}

const seconds = z.number().positive().max(31_536_000);
const milliseconds = z.number().positive().max(31_536_000_000);
const noNul = /^[^\0]*$/;
const text = z.string().regex(noNul, 'must not contain a NUL character');
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

const podConfigSchema = (folder: string, environment: NodeJS.ProcessEnv) =>
  z.strictObject({
    launch: z.enum(['local', 'inProcess']).optional(),
    command: z.array(text).min(1).optional(),
    function: z.string().min(1).optional(),
    arguments: z.array(text).optional(),
    envVars: z.record(z.string().regex(variableName, 'is not a name of an environment variable'), text).optional(),
    commands: commandsSchema.optional(),
    readRoots: rootsSchema(folder, environment).optional(),
    writeRoots: rootsSchema(folder, environment).optional(),
    scheduledSeconds: seconds.optional(),
    quietSeconds: seconds.optional(),
    runSeconds: seconds.optional(),
    graceSeconds: z.number().min(0).max(3_600).optional(),
    resultFrom: z.enum(['file', 'lastLogLine']).optional(),
    contract: z.enum(['pop2', 'pop1']).optional(),
    endOfLogIdentifier: z.string().min(1).optional(),
    payloadTransport: z.enum(['envVar', 'compressedEnvVar']).optional(),
    logBytes: z.number().int().min(1_024).max(16_777_216).optional(),
    /** POP's name of `scheduledSeconds`, in milliseconds. */
    podScheduledTimeoutMs: milliseconds.optional(),
    /** POP's name of `quietSeconds`, in milliseconds. */
    podStdoutTimeout: milliseconds.optional(),
  });
function fileSchema(folder: string, environment: NodeJS.ProcessEnv) {
  const podConfig = podConfigSchema(folder, environment);
  return z.object({ basePodConfig: podConfig }).catchall(z.strictObject({ podConfig }));
}

type PodConfig = z.infer<ReturnType<typeof podConfigSchema>>;

/** Fields that reach a handler through its environment, which a function has not. */
const forProcesses = ['commands', 'readRoots', 'writeRoots'] as const;

const defaults = {
  launch: 'local',
  command: [],
  arguments: [],
  envVars: {},
  scheduledSeconds: 300,
  graceSeconds: 10,
  resultFrom: 'file',
  contract: 'pop2',
  endOfLogIdentifier: 'HandlerComplete',
  payloadTransport: 'envVar',
  logBytes: 1024 * 1024,
} as const;

/**
 * Reads a registry file; `environment` fills `${NAME}` in its roots. @throws RegistryError naming the first faults with
 * their lines, and how many there are.
 */
export function loadRegistry(path: string, environment = process.env): Registry {
  const absolute = resolve(path);
  let source: string;
  try {
    source = readFileSync(absolute, 'utf8');
  } catch (error) {
    throw new RegistryError(`The registry ${absolute} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return parseRegistry(source, absolute, environment);
}

/** As `loadRegistry`, of text that was read already; `path` is where relative programs start from. */
export function parseRegistry(source: string, path: string, environment = process.env): Registry {
  let document: unknown;
  try {
    document = JSON.parse(source);
  } catch (error) {
    const line = lineOfSyntaxError(messageOf(error), source);
    throw new RegistryError(`${path}${line === undefined ? '' : `:${line}`}: not JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const folder = dirname(resolve(path));
  const parsed = fileSchema(folder, environment).safeParse(document);
  if (!parsed.success) throw new RegistryError(faults(parsed.error, source, path));
  const { basePodConfig, ...entries } = parsed.data;
  const types = new Map<string, HandlerSettings>();
  const unusable = new FaultList();
  for (const [type, entry] of Object.entries(entries)) {
    const settings = settle(inSeconds(basePodConfig), inSeconds(entry.podConfig), folder);
    const needed = settings.launch === 'local' ? 'command' : 'function';
    const present = settings.launch === 'local' ? settings.command.length > 0 : settings.function !== undefined;
    const refuse = (at: readonly string[], message: string) =>
      unusable.add(() => ({ pointer: pointerOf(at), code: lineAt(path, source, at), message }));
    if (!present) refuse([type, 'podConfig'], `"launch": "${settings.launch}" needs "${needed}"`);
    for (const field of settings.launch === 'inProcess' ? forProcesses : []) {
      if (entry.podConfig[field] !== undefined)
        refuse([type, 'podConfig', field], 'it would do nothing with "launch": "inProcess"');
    }
    types.set(type, settings);
  }
  if (unusable.total > 0) throw new RegistryError(linesOf(unusable));
  return { path: resolve(path), types };
}

/** The resolved entry of a type; undefined when the type is not registered. */
export function settingsFor(registry: Registry, type: string): HandlerSettings | undefined {
  return registry.types.get(type);
}

/** The settings of a type, with the limits that an Operation states for itself laid over them. */
export function withLimits(settings: HandlerSettings, timeout: OperationTimeout | undefined): HandlerSettings {
  if (timeout === undefined) return settings;
  return {
    ...settings,
    ...(timeout.scheduledSeconds !== undefined && { scheduledSeconds: timeout.scheduledSeconds }),
    ...(timeout.quietSeconds !== undefined && { quietSeconds: timeout.quietSeconds }),
    ...(timeout.runSeconds !== undefined && { runSeconds: timeout.runSeconds }),
  };
}

/**
 * A registry that follows its file. An edit counts from the next look on. A broken edit is reported, and the last good
 * registry stays.
 */
export class LiveRegistry {
  readonly path: string;
  #registry: Registry;
  #version: string;
  #error: RegistryError | undefined;
  readonly #report: (error: RegistryError) => void;

  /** @throws RegistryError when the file is not good at the start. `report` hears of each broken edit once. */
  constructor(path: string, report: (error: RegistryError) => void) {
    this.path = resolve(path);
    this.#report = report;
    this.#version = versionOf(this.path);
    this.#registry = loadRegistry(this.path);
  }

  /** The fault of the file as it is now; undefined when the registry in use is the file's. */
  get error(): RegistryError | undefined {
    return this.#error;
  }

  get current(): Registry {
    const version = versionOf(this.path);
    if (version === this.#version) return this.#registry;
    this.#version = version;
    try {
      this.#registry = loadRegistry(this.path);
      this.#error = undefined;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      this.#error = error;
      this.#report(error);
    }
    return this.#registry;
  }

  settingsFor(type: string): HandlerSettings | undefined {
    return settingsFor(this.current, type);
  }
}

/** Changes when the file does; a mounted ConfigMap is swapped by a link, so the inode counts too. */
function versionOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'missing' : `${stat.mtimeNs}:${stat.size}:${stat.ino}`;
}

/**
 * POP's names become ours within their layer, so that a type's `quietSeconds` overrides a base's `podStdoutTimeout`.
 */
function inSeconds(config: PodConfig): Omit<PodConfig, 'podScheduledTimeoutMs' | 'podStdoutTimeout'> {
  const { podScheduledTimeoutMs, podStdoutTimeout, ...rest } = config;
  return {
    ...(podScheduledTimeoutMs !== undefined && { scheduledSeconds: podScheduledTimeoutMs / 1_000 }),
    ...(podStdoutTimeout !== undefined && { quietSeconds: podStdoutTimeout / 1_000 }),
    ...rest,
  };
}

function settle(base: PodConfig, own: PodConfig, folder: string): HandlerSettings {
  const merged = { ...defaults, ...defined(base), ...defined(own) };
  // An entry without `launch` shows it by its other fields: a type with only a `function` runs in process.
  const launch =
    own.launch ??
    (own.function !== undefined && own.command === undefined
      ? 'inProcess'
      : own.command !== undefined
        ? 'local'
        : merged.launch);
  const [program, ...rest] = merged.command ?? [];
  const { quietSeconds, runSeconds, function: name, commands, readRoots, writeRoots, ...fields } = merged;
  return {
    ...fields,
    launch,
    command: launch === 'inProcess' || program === undefined ? [] : [locate(program, folder), ...rest],
    folder,
    ...(quietSeconds !== undefined && { quietSeconds }),
    ...(runSeconds !== undefined && { runSeconds }),
    ...(launch === 'local' && defined({ commands, readRoots, writeRoots })),
    ...(launch === 'inProcess' && name !== undefined && { function: name }),
  };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Defined<T>;
}

/**
 * Finds a program as a shell does: a program with a slash is a path, one without is looked up in PATH when it starts.
 */
function locate(program: string, folder: string): string {
  if (program === 'node') return process.execPath;
  return program.includes('/') ? resolve(folder, program) : program;
}

function faults(error: z.ZodError, source: string, path: string): string {
  const list = new FaultList();
  for (const issue of error.issues) {
    const at = issue.path.map(String);
    const add = (fields: readonly string[], message: string): void => {
      list.add(() => ({
        pointer: `/${pointerOf(fields).slice(1)}`,
        code: lineAt(path, source, fields),
        message: cut(message),
      }));
    };
    if (issue.code !== 'unrecognized_keys') add(at, issue.message);
    else for (const key of issue.keys) add([...at, key], 'unknown field; it would do nothing');
  }
  return linesOf(list);
}

/** A fault of a file has its place, file and line, for a code. */
function linesOf({ first, total }: FaultList): string {
  const lines = first.map(({ pointer, code, message }) => `${code} ${pointer}: ${message}`);
  if (total > first.length) lines.push(`[Truncating additional issues] ${total} in total`);
  return lines.join('\n');
}

function lineAt(path: string, source: string, at: readonly string[]): string {
  const line = lineOfField(source, at);
  return line === undefined ? path : `${path}:${line}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The registry: which program performs an operation type, and how it is treated.
 * A JSON file `{ "basePodConfig": {…}, "<type>": { "podConfig": {…} } }`. Layers, later wins, a whole field at a time:
 * the defaults of its launcher < `basePodConfig` < the type's `podConfig`. Lists and maps are replaced, never merged.
 * A field that would do nothing for the type's launch is refused, so that nobody believes in a setting that is not
 * there.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { cut } from '../agenda/cut.ts';
import { FaultList } from '../agenda/fault-list.ts';
import { pointerOf } from '../agenda/json-pointer.ts';
import type { OperationTimeout } from '../agenda/types.ts';
import {
  areConfigMapsNamed,
  type KubernetesSettings,
  kubernetesFields,
  kubernetesSettings,
  mixedStreamsFault,
} from './container/kubernetes-settings.ts';
import { type DockerSettings, dockerFields, dockerSettings } from './docker/docker-settings.ts';
import { type InProcessSettings, inProcessFields, inProcessSettings } from './in-process/in-process-settings.ts';
import { limitFields, limitsOf } from './limits.ts';
import { type LocalSettings, localSettings } from './local/local-settings.ts';
import { type NeedsSetting, needsField, needsSetting } from './needs.ts';
import { programFields } from './program-settings.ts';
import { digestOf } from './registry-digest.ts';
import { lineOfField, lineOfSyntaxError } from './registry-lines.ts';

/** The registry entry of one operation type, all layers resolved: a union by `launch`, one member for each launcher. */
export type HandlerSettings = (LocalSettings | InProcessSettings | DockerSettings | KubernetesSettings) & NeedsSetting;

/** Which launcher runs a type. */
export type LaunchKind = HandlerSettings['launch'];

/** A registry as read from its file. */
export interface Registry {
  readonly path: string;
  readonly types: ReadonlyMap<string, HandlerSettings>;
  /** Fields that POP's registries have and that do nothing here, with their lines. */
  readonly warnings: readonly string[];
  /** The same for registries that say the same. */
  readonly digest: string;
}

/** The registry file cannot be used; the message names file, line and field. */
export class RegistryError extends Error {
  readonly code = 'registryInvalid';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RegistryError';
  }
}

/** Of each launch: its fields, the entry that they make, and the field that such an entry cannot be without. */
const launches = {
  local: { fields: programFields, settle: localSettings, needs: 'command' },
  inProcess: { fields: inProcessFields, settle: inProcessSettings, needs: 'function' },
  docker: { fields: dockerFields, settle: dockerSettings, needs: 'imageName' },
  kubernetes: { fields: kubernetesFields, settle: kubernetesSettings, needs: 'imageName' },
} as const;
/** All launchers that there are. */
export const launchKinds = Object.keys(launches) as readonly LaunchKind[];

/** Fields of POP's registries, with the reason why they do nothing here. A registry that has them is taken. */
const idleFields: Readonly<Record<string, string>> = {
  podRetryCount: 'what the infrastructure takes away is launched again anyway',
  retryDelayMilliSecs: 'what the infrastructure takes away is launched again anyway',
  retryableExceptions: 'it names Java classes of POP’s client',
  nonRetryableExceptions: 'it names Java classes of POP’s client',
  enableOutputScraping: '"resultFrom": "lastLogLine" reads a result from the output',
  logLineExpectation: 'quietSeconds bounds the time without output',
  defaultEmptyDirLogging: '"podTemplate" adds volumes',
  logback: '"configMapSettings" mounts files',
};

const podConfigSchema = (folder: string, environment: NodeJS.ProcessEnv) =>
  z.strictObject({
    launch: z.enum(launchKinds).optional(),
    ...limitFields,
    ...needsField,
    ...programFields(folder, environment),
    ...inProcessFields(),
    ...dockerFields(folder, environment),
    ...kubernetesFields(folder, environment),
    ...Object.fromEntries(Object.keys(idleFields).map((field) => [field, z.unknown().optional()])),
  });
function fileSchema(folder: string, environment: NodeJS.ProcessEnv) {
  const podConfig = podConfigSchema(folder, environment);
  const configMapName = z.string().min(1).max(253).optional();
  return z.object({ basePodConfig: podConfig }).catchall(z.strictObject({ configMapName, podConfig }));
}

/** A field of a `podConfig`, for what is written about them. */
export interface RegistryField {
  readonly name: string;
  /** Those whose launcher reads it: every one for what all types have, none for a name that does nothing. */
  readonly launches: readonly LaunchKind[];
  /** Names of the fields within it, however deep. */
  readonly inner: readonly string[];
}

/** All fields of a `podConfig`, with those who read them. */
export function registryFields(): readonly RegistryField[] {
  const { properties = {} } = z.toJSONSchema(podConfigSchema('/', {}), { io: 'input', unrepresentable: 'any' });
  const common = new Set(['launch', ...Object.keys(limitFields), ...Object.keys(needsField)]);
  const read = launchKinds.map((kind) => ({ kind, fields: new Set(fieldsOf(kind, '/', {})) }));
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    launches: common.has(name) ? launchKinds : read.flatMap(({ kind, fields }) => (fields.has(name) ? [kind] : [])),
    inner: innerNames(schema),
  }));
}

function innerNames(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => [
    ...(key === 'properties' ? Object.keys(value) : []),
    ...innerNames(key === 'properties' ? Object.values(value) : value),
  ]);
}

type PodConfig = z.infer<ReturnType<typeof podConfigSchema>>;

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
  const refuse = (at: readonly string[], message: string) =>
    unusable.add(() => ({ pointer: pointerOf(at), code: lineAt(path, source, at), message }));
  const warnings = idleIn(basePodConfig, ['basePodConfig'], source, path);
  for (const [type, { configMapName, podConfig }] of Object.entries(entries)) {
    const launch = launchOf(basePodConfig, podConfig);
    const at = [type, 'podConfig'];
    warnings.push(...idleIn(podConfig, at, source, path));
    for (const field of strangersTo(launch, podConfig, folder, environment))
      refuse([...at, field], `it would do nothing with "launch": "${launch}"`);
    if (configMapName !== undefined && launch !== 'kubernetes')
      refuse([type, 'configMapName'], `it would do nothing with "launch": "${launch}"`);
    const layers = { ...basePodConfig, ...defined(podConfig) };
    if (launch === 'kubernetes' && !areConfigMapsNamed(layers, configMapName))
      refuse([...at, 'configMapSettings'], 'a mount has no "configMapName"; that of the type goes to the first');
    const limits = limitsOf([basePodConfig, podConfig]);
    const settings =
      launch === 'kubernetes'
        ? kubernetesSettings(layers, limits, configMapName)
        : launches[launch].settle(layers, limits, folder);
    const fault = settings?.launch === 'kubernetes' ? mixedStreamsFault(settings) : undefined;
    if (fault !== undefined) refuse([...at, ...(podConfig.resultFrom === undefined ? [] : ['resultFrom'])], fault);
    if (settings === undefined) refuse(at, `"launch": "${launch}" needs "${launches[launch].needs}"`);
    else types.set(type, { ...settings, ...needsSetting([basePodConfig, podConfig]) });
  }
  if (unusable.total > 0) throw new RegistryError(linesOf(unusable));
  return { path: resolve(path), types, warnings, digest: digestOf(document) };
}

/** A line for each field that does nothing. */
function idleIn(podConfig: PodConfig, at: readonly string[], source: string, path: string): string[] {
  return Object.keys(defined(podConfig)).flatMap((field) => {
    const why = idleFields[field];
    const here = [...at, field];
    return why === undefined ? [] : [`${lineAt(path, source, here)} ${pointerOf(here)}: does nothing here; ${why}`];
  });
}

/** The resolved entry of a type; undefined when the type is not registered. */
export function settingsFor(registry: Registry, type: string): HandlerSettings | undefined {
  return registry.types.get(type);
}

/** The settings of a type, with the limits that an Operation states for itself laid over them. */
export function withLimits<Settings extends HandlerSettings>(
  settings: Settings,
  timeout: OperationTimeout | undefined,
): Settings {
  if (timeout === undefined) return settings;
  return {
    ...settings,
    ...(timeout.scheduledSeconds !== undefined && { scheduledSeconds: timeout.scheduledSeconds }),
    ...(timeout.quietSeconds !== undefined && { quietSeconds: timeout.quietSeconds }),
    ...(timeout.runSeconds !== undefined && { runSeconds: timeout.runSeconds }),
  };
}

/**
 * A launch that is not stated follows from what is: a type with an `imageName` is a Pod (or what the base says of
 * containers), one with only a `command` a process, one with only a `function` runs in process.
 */
function launchOf(base: PodConfig, own: PodConfig): LaunchKind {
  if (own.launch !== undefined) return own.launch;
  const ofContainers = base.launch === 'docker' || base.launch === 'kubernetes' ? base.launch : undefined;
  if (own.imageName !== undefined) return ofContainers ?? 'kubernetes';
  if (own.function !== undefined && own.command === undefined) return 'inProcess';
  if (base.launch !== undefined) return own.command === undefined ? base.launch : (ofContainers ?? 'local');
  if (own.command !== undefined) return 'local';
  return base.imageName === undefined ? 'local' : 'kubernetes';
}

/** Fields of a type that another launcher than its own would read. What the base holds is for all types and may be. */
function strangersTo(
  launch: LaunchKind,
  own: PodConfig,
  folder: string,
  environment: NodeJS.ProcessEnv,
): readonly string[] {
  const known = new Set([
    'launch',
    ...Object.keys(limitFields),
    ...Object.keys(needsField),
    ...Object.keys(idleFields),
    ...fieldsOf(launch, folder, environment),
  ]);
  return Object.keys(defined(own)).filter((field) => !known.has(field));
}

function fieldsOf(launch: LaunchKind, folder: string, environment: NodeJS.ProcessEnv): readonly string[] {
  return Object.keys(launches[launch].fields(folder, environment));
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Defined<T>;
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

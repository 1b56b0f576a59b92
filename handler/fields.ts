/**
 * What a handler is told beside its payload, in POP's order: an argument comes before the environment, and that before
 * the property file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseProperties } from './properties.ts';

/** Where POP looks for properties when `-propFile` names no other file; nothing when it is not there. */
export const defaultPropertyFile = 'config/external.properties';

/** Arguments, environment and properties of a handler. */
export interface Fields {
  /** The word after `-<name>`; undefined when the argument is not given. */
  argument(name: string): string | undefined;
  /** A variable of the environment; an empty one counts as none. */
  environment(name: string): string | undefined;
  /** A value of the property file. */
  property(name: string): string | undefined;
  /**
   * The first there is: content of the file that `-<name>File` names, word after `-<name>`, variable `<name>` or in
   * capitals (`pop.work.path` as `POP_WORK_PATH`), property `<name>`.
   */
  get(name: string): string | undefined;
}

/** Reads the property file once, when it is first asked. @throws when a file that an argument names cannot be read */
export function readFields(parameters: readonly string[], environment: NodeJS.ProcessEnv): Fields {
  let properties: Readonly<Record<string, string>> | undefined;
  const argument = (name: string): string | undefined => {
    const index = parameters.indexOf(`-${name}`);
    return index < 0 ? undefined : parameters[index + 1];
  };
  const variable = (name: string): string | undefined => environment[name] || undefined;
  const property = (name: string): string | undefined => {
    properties ??= readProperties(argument('propFile'));
    return Object.hasOwn(properties, name) ? properties[name] : undefined;
  };
  return {
    argument,
    environment: variable,
    property,
    get: (name) =>
      readText(argument(`${name}File`)) ??
      argument(name) ??
      variable(name) ??
      variable(variableOf(name)) ??
      property(name),
  };
}

/** Content of a file; undefined when there is no path. @throws when it cannot be read */
export function readText(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, 'utf8');
}

function readProperties(named: string | undefined): Readonly<Record<string, string>> {
  if (named === undefined && !existsSync(defaultPropertyFile)) return {};
  return parseProperties(readFileSync(named ?? defaultPropertyFile, 'utf8'));
}

/** `pop.work.path`, `workPath` → `POP_WORK_PATH`, `WORK_PATH` */
function variableOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase();
}

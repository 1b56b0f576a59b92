/** Reading settings from the environment: what is missing or wrong is said by name, with the value. */
import { readFileSync } from 'node:fs';

/** A setting is missing or wrong, or does not go with what it leads to; the message says which one. */
export class SettingError extends Error {}

/** One setting by itself, and what is wrong with it, such as `is missing`. */
export interface SettingFault {
  readonly setting: string;
  readonly problem: string;
}

/** Settings that are missing or wrong by themselves, whatever they lead to. */
export class WrongSettingError extends SettingError {
  readonly faults: readonly SettingFault[];

  constructor(...faults: readonly SettingFault[]) {
    super(faults.map(({ setting, problem }) => `the setting ${setting} ${problem}`).join('; '));
    this.name = 'WrongSettingError';
    this.faults = faults;
  }
}

/** Calls them all, and then tells all faults at once. @throws WrongSettingError */
export function readAll<Settings extends object>(
  readers: {
    readonly [Name in keyof Settings]: () => Settings[Name];
  },
): Settings {
  const faults: SettingFault[] = [];
  const read: Partial<Settings> = {};
  for (const name of Object.keys(readers) as (keyof Settings)[]) {
    try {
      read[name] = readers[name]();
    } catch (error) {
      if (!(error instanceof WrongSettingError)) throw error;
      faults.push(...error.faults);
    }
  }
  if (faults.length > 0) throw new WrongSettingError(...faults);
  return read as Settings;
}

/** A setting that may be absent; empty is absent. */
export function optional(name: string): string | undefined {
  return process.env[name] || undefined;
}

/** A setting that has no default. */
export function required(name: string): string {
  const value = optional(name);
  if (value === undefined) throw new WrongSettingError({ setting: name, problem: 'is missing' });
  return value;
}

/** `DATABASE_URL`. It may hold a password, so it is never told. */
export function databaseUrl(): string {
  const url = required('DATABASE_URL');
  if (/^postgres(ql)?:\/\//.test(url) && isReadable(url)) return url;
  throw new WrongSettingError({
    setting: 'DATABASE_URL',
    problem:
      'must be a URL such as postgres://user:password@host/name; ' +
      'characters such as / # ? % in a password are written %2F %23 %3F %25',
  });
}

/** Whether the driver will make sense of it, whose own error would show all of it. */
function isReadable(url: string): boolean {
  try {
    // Several hosts are a comma list, of which a URL knows nothing.
    const { username, password, pathname } = new URL(url.replace(/,[^/?@]*(?=[/?]|$)/, ''));
    for (const part of [username, password, pathname]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** `NAME`, or the text of the file that `NAME_FILE` names, without white space around it. */
export function secret(name: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const [value, file] = [environment[name] || undefined, environment[`${name}_FILE`] || undefined];
  if (file === undefined) return value;
  const setting = `${name}_FILE`;
  if (value !== undefined)
    throw new WrongSettingError({ setting, problem: `is set beside ${name}: one of them may be` });
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new WrongSettingError({ setting, problem: `names a file that cannot be read: ${(error as Error).message}` });
  }
  if (text === '') throw new WrongSettingError({ setting, problem: `names an empty file: ${file}` });
  return text;
}

/** `true`, `1`, `false` or `0`; undefined when it is not set. */
export function flag(name: string, environment: NodeJS.ProcessEnv = process.env): boolean | undefined {
  const text = environment[name];
  if (text === undefined || text === '') return undefined;
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw new WrongSettingError({ setting: name, problem: `must be true or false, not "${text}"` });
}

/** A secret that has no default. */
export function requiredSecret(name: string): string {
  const value = secret(name);
  if (value === undefined) throw new WrongSettingError({ setting: name, problem: `is missing, and ${name}_FILE, too` });
  return value;
}

/** A port to listen on; undefined when it is not set, 0 for any free one. */
export function port(name: string): number | undefined {
  const text = optional(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new WrongSettingError({ setting: name, problem: `must be a port number, not "${text}"` });
  return value;
}

/** A number over zero, and not below `least`. */
export function positiveNumber(name: string, otherwise: number, least = 0): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  const wanted = least > 0 ? `of at least ${least}` : 'over 0';
  if (!Number.isFinite(value) || value <= 0 || value < least)
    throw new WrongSettingError({ setting: name, problem: `must be a number ${wanted}, not "${text}"` });
  return value;
}

/** A whole number from 0 on. */
export function wholeNumber(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new WrongSettingError({ setting: name, problem: `must be a whole number from 0 on, not "${text}"` });
  return value;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** `LOG_LEVEL`; `info` when it is not set. */
export function logLevel(): string {
  const level = process.env.LOG_LEVEL || 'info';
  if (!logLevels.includes(level))
    throw new WrongSettingError({
      setting: 'LOG_LEVEL',
      problem: `must be one of ${logLevels.join(', ')}, not "${level}"`,
    });
  return level;
}

/** Begins none of the names that an installation without a name has, so that no two installations share one. */
const installationPattern = /^(?!(?:agenda|admission|pool)-)[A-Za-z0-9][A-Za-z0-9-]{0,39}$/;

/** `POP_INSTALLATION`, the name in workflow ids and task queues; empty when it is not set. */
export function installationName(text: string | undefined): string {
  if (text === undefined || text === '') return '';
  if (!installationPattern.test(text))
    throw new WrongSettingError({
      setting: 'POP_INSTALLATION',
      problem:
        'must be 1 to 40 letters, digits and "-", and not begin with "-", "agenda-", ' +
        `"admission-" or "pool-", not "${text.slice(0, 200)}" (${text.length} characters)`,
    });
  return text;
}

/** Reading settings from the environment: what is missing or wrong is said by name, with the value. */

/** A setting is missing or wrong; the message says which one. */
export class SettingError extends Error {}

/** A setting that has no default. */
export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new SettingError(`the setting ${name} is missing`);
  return value;
}

/** A number over zero, and not below `least`. */
export function positiveNumber(name: string, otherwise: number, least = 0): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  const wanted = least > 0 ? `of at least ${least}` : 'over 0';
  if (!Number.isFinite(value) || value <= 0 || value < least)
    throw new SettingError(`the setting ${name} must be a number ${wanted}, not "${text}"`);
  return value;
}

/** A whole number from 0 on. */
export function wholeNumber(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new SettingError(`the setting ${name} must be a whole number from 0 on, not "${text}"`);
  return value;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** `LOG_LEVEL`; `info` when it is not set. */
export function logLevel(): string {
  const level = process.env.LOG_LEVEL || 'info';
  if (!logLevels.includes(level))
    throw new SettingError(`the setting LOG_LEVEL must be one of ${logLevels.join(', ')}, not "${level}"`);
  return level;
}

/** Begins none of the names that an installation without a name has, so that no two installations share one. */
const installationPattern = /^(?!(?:agenda|admission|pool)-)[A-Za-z0-9][A-Za-z0-9-]{0,39}$/;

/** `POP_INSTALLATION`, the name in workflow ids and task queues; empty when it is not set. */
export function installationName(text: string | undefined): string {
  if (text === undefined || text === '') return '';
  if (!installationPattern.test(text))
    throw new SettingError(
      'the setting POP_INSTALLATION must be 1 to 40 letters, digits and "-", and not begin with "-", "agenda-", ' +
        `"admission-" or "pool-", not "${text.slice(0, 200)}" (${text.length} characters)`,
    );
  return text;
}

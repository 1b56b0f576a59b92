/** Reading settings from the environment: what is missing or wrong is said by name, with the value. */

export class SettingError extends Error {}

export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new SettingError(`the setting ${name} is missing`);
  return value;
}

/** A number over zero. */
export function positiveNumber(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new SettingError(`the setting ${name} must be a number over 0, not "${text}"`);
  return value;
}

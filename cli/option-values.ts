/** Reads the values of options. What they refuse is told with the option, and ends a command as a wrong call. */
import { InvalidArgumentError } from 'commander';

/** A port; 0 for any free one. @throws InvalidArgumentError */
export function portOf(text: string): number {
  const port = Number(text);
  if (text.trim() === '' || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError('It must be a port number.');
  return port;
}

/** A whole number from 1 on. @throws InvalidArgumentError */
export function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('It is a whole number from 1.');
  return count;
}

/** Whole or broken seconds from 0 on. @throws InvalidArgumentError */
export function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0)
    throw new InvalidArgumentError('It is a number of seconds from 0 on.');
  return seconds;
}

/** Whole or broken seconds above 0. @throws InvalidArgumentError */
export function secondsAboveZero(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0) throw new InvalidArgumentError('It is a number of seconds above 0.');
  return seconds;
}

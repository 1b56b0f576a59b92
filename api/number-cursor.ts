/** Cursors of lists whose order is one or several numbers. */
import { badParameter } from './problem.ts';

export function writeNumberCursor(...position: readonly number[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** @throws ProblemError 400 when no list gave this out */
export function readNumberCursor(cursor: string, length: number): readonly number[] {
  const text = Buffer.from(cursor, 'base64url').toString();
  const numbers = /^\[\d{1,15}(,\d{1,9})*\]$/.test(text) ? (JSON.parse(text) as number[]) : [];
  if (numbers.length !== length) throw badParameter('cursor', 'cursor was not given out by this list.');
  return numbers;
}

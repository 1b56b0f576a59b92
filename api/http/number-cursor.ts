/** Cursors of lists whose order is one or several numbers. */
import { badParameter } from './problem.ts';

/** The cursor of a position; `readNumberCursor` reads it. */
export function writeNumberCursor(...position: readonly number[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** The `length` numbers of a cursor. @throws ProblemError 400 when no list gave this out */
export function readNumberCursor(cursor: string, length: number): readonly number[] {
  const text = Buffer.from(cursor, 'base64url').toString();
  // The first may be a bigserial when it stands alone; the others are integers of Postgres.
  const isOne = /^\[(0|[1-9]\d{0,14})(,(0|[1-9]\d{0,8}))*\]$/.test(text);
  const numbers = isOne ? (JSON.parse(text) as number[]) : [];
  if (numbers.length > 1 && (numbers[0] ?? 0) >= 1_000_000_000)
    throw badParameter('cursor', 'cursor was not given out by this list.');
  if (numbers.length !== length) throw badParameter('cursor', 'cursor was not given out by this list.');
  return numbers;
}

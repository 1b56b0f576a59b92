import { readFileSync } from 'node:fs';
import { CommandError, exitCodes } from './exit-codes.ts';

/** What messages call an input, and its text: a file, or standard input when it is `-`. @throws CommandError */
export function readInput(file: string): readonly [name: string, text: string] {
  try {
    return file === '-' ? ['stdin', readFileSync(0, 'utf8')] : [file, readFileSync(file, 'utf8')];
  } catch (cause) {
    throw new CommandError(exitCodes.usage, `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** JSON text of a file, of standard input (`-`), or written out. @throws CommandError with line and column */
export async function readJsonInput(given: string): Promise<string> {
  // No file that somebody has is called like the beginning of an object, a list or a text.
  const [name, text] = /^\s*[[{"]/.test(given) ? ['the argument', given] : readInput(given);
  try {
    JSON.parse(text);
    return text;
  } catch (cause) {
    const { findJsonFault } = await import('../agenda/json-position.ts');
    const { line, column, message } = findJsonFault(text);
    throw new CommandError(exitCodes.usage, `${name}:${line}:${column}: not JSON: ${message}`, { cause });
  }
}

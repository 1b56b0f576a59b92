/** Space on the disk for what is to be written when it may be full. */
import { closeSync, constants, fsyncSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode, isMissing } from '../run-directory/system-errors.ts';
import { syncDirectory, writeWhole } from '../run-directory/whole-file.ts';

/** Longest content of a reserved file. */
const reservedBytes = 4_096;

/** Takes up the space of a file that is to be written when the disk may be full. */
export function reserve(path: string): void {
  // Not durable: a host that goes down takes the handler with it, and then there is nothing to write.
  writeFileSync(path, ' '.repeat(reservedBytes), { mode: 0o600 });
}

/** As writeWhole, in the space that was reserved at `reserved` if that is still there. */
export function writeReserved(reserved: string, path: string, content: string): void {
  const bytes = Buffer.byteLength(content);
  if (bytes > reservedBytes) throw new Error(`${path} would have ${bytes} bytes; ${reservedBytes} are reserved`);
  let file: number;
  try {
    file = openSync(reserved, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (!isMissing(error) && errorCode(error) !== 'ELOOP') throw error;
    // The handler took it away.
    writeWhole(path, content);
    return;
  }
  try {
    // As long as what was there: not one more block is needed.
    writeSync(file, `${content}${' '.repeat(reservedBytes - bytes)}`, 0);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(reserved, path);
  syncDirectory(dirname(path));
}

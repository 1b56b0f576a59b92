/**
 * The handler's output file. It writes there itself, so the file outlives shim and worker; others may only cut its head
 * off. Cutting punches a hole: the file keeps its length, which is therefore the number of bytes ever written, and
 * loses its blocks. Where holes cannot be punched, the file is copied and truncated; bytes written in that very moment
 * may be lost.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, ftruncateSync, lstatSync, openSync, readSync, writeSync } from 'node:fs';

const block = 4_096;
let canPunch = process.platform === 'linux';

/** Holds one log file to its cap. */
export class LogCutter {
  readonly #path: string;
  readonly #keepBytes: number;
  #cutBytes = 0;
  /** Bytes that truncation took away; with holes always 0. */
  droppedBytes = 0;

  constructor(path: string, keepBytes: number) {
    this.#path = path;
    this.#keepBytes = keepBytes;
  }

  /** Cuts when as much again as is to be kept has come since the last cut. */
  cutIfDue(): void {
    const size = sizeOf(this.#path);
    if (size < this.#cutBytes + 2 * this.#keepBytes) return;
    const end = Math.floor((size - this.#keepBytes) / block) * block;
    if (canPunch) {
      try {
        execFileSync('fallocate', ['--punch-hole', '--offset', '0', '--length', String(end), this.#path], {
          stdio: 'ignore',
        });
        this.#cutBytes = end;
        return;
      } catch {
        // No such program, or a file system without holes: for good.
        canPunch = false;
      }
    }
    this.droppedBytes += truncateHead(this.#path, this.#keepBytes);
    this.#cutBytes = 0;
  }
}

/** Bytes of a regular file, and 0 for anything else: a link that a handler put there must not have its target cut. */
export function sizeOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : 0;
}

/** Keeps the last `keepBytes` at the start of the file; returns how many were dropped. */
function truncateHead(path: string, keepBytes: number): number {
  // The handler appends, so wherever the file ends it goes on from there.
  const file = openSync(path, 'r+');
  try {
    const { size } = fstatSync(file);
    const tail = readRange(file, Math.max(0, size - keepBytes), size);
    const late = readRange(file, size, fstatSync(file).size);
    ftruncateSync(file, 0);
    const append = openSync(path, 'a');
    try {
      writeSync(append, tail);
      writeSync(append, late);
    } finally {
      closeSync(append);
    }
    return size - tail.length;
  } finally {
    closeSync(file);
  }
}

/** The bytes from `from` up to `to`, as far as the file has them. */
export function readRange(file: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(Math.max(0, to - from));
  let read = 0;
  while (read < bytes.length) {
    const count = readSync(file, bytes, read, bytes.length - read, from + read);
    if (count === 0) break;
    read += count;
  }
  return bytes.subarray(0, read);
}

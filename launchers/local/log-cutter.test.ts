import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LogCutter } from './log-cutter.ts';
import { readLog } from './read-log.ts';

const keepBytes = 8_192;
const line = (index: number) => `line ${String(index).padStart(10, '0')}\n`;

function inFolder(body: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'pop-log-'));
  try {
    body(join(folder, 'output.log'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes 10,000 lines, cutting now and then, as the shim does. */
function writeAndCut(path: string): LogCutter {
  const cutter = new LogCutter(path, keepBytes);
  writeFileSync(path, '');
  for (let index = 0; index < 10_000; index += 1) {
    appendFileSync(path, line(index));
    if (index % 1_000 === 999) cutter.cutIfDue();
  }
  return cutter;
}

const tail = Array.from({ length: keepBytes / 16 }, (_, index) => line(10_000 - keepBytes / 16 + index)).join('');

test('a log is cut by punching holes: its length still counts every byte', () => {
  inFolder((path) => {
    const { droppedBytes } = writeAndCut(path);
    expect(droppedBytes).toBe(0);
    expect(readLog(path, keepBytes)).toEqual({ output: tail, totalBytes: 160_000 });
    expect(statSync(path).blocks * 512).toBeLessThan(4 * keepBytes);
  });
});

test('a character that the cut falls into is left out', () => {
  inFolder((path) => {
    writeFileSync(path, `${'x'.repeat(10)}€${'y'.repeat(5)}`);
    expect(readLog(path, 7)).toEqual({ output: 'yyyyy', totalBytes: 18 });
  });
});

// Last in its file: a cutter that found no way to punch holes does not try again.
test('where holes cannot be punched the log is truncated, and what was dropped is counted', () => {
  inFolder((path) => {
    const { PATH } = process.env;
    process.env.PATH = '';
    const { droppedBytes } = writeAndCut(path);
    process.env.PATH = PATH;
    expect(droppedBytes).toBeGreaterThan(0);
    expect(readLog(path, keepBytes, droppedBytes)).toEqual({ output: tail, totalBytes: 160_000 });
    expect(statSync(path).size).toBeLessThan(4 * keepBytes);
  });
});

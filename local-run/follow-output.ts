import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

const lookMilliseconds = 100;
const pieceBytes = 64 * 1024;

/**
 * Passes on what a file of output grows by, in whole lines, also before the file is there. Stopped, it passes on the
 * rest. Where a part of the file was cut off meanwhile, it goes on with what comes next.
 */
export function followOutput(path: string, line: (text: string) => void): { stop(): void } {
  let file: number | undefined;
  let offset = 0;
  let rest = '';
  const decoder = new StringDecoder('utf8');
  const buffer = Buffer.alloc(pieceBytes);
  const look = (): void => {
    file ??= openIfThere(path);
    if (file === undefined) return;
    const { size } = fstatSync(file);
    if (size < offset) offset = size;
    while (offset < size) {
      const bytes = readSync(file, buffer, 0, Math.min(pieceBytes, size - offset), offset);
      if (bytes === 0) break;
      offset += bytes;
      const lines = (rest + decoder.write(buffer.subarray(0, bytes))).split('\n');
      rest = lines.pop() ?? '';
      for (const each of lines) line(each);
    }
  };
  const timer = setInterval(look, lookMilliseconds);
  return {
    stop() {
      clearInterval(timer);
      look();
      if (rest !== '') line(rest);
      if (file !== undefined) closeSync(file);
    },
  };
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

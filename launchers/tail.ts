/** The end of an output, which may be cut anywhere. */
import { cleanText } from './clean-text.ts';

/** As text that any database and JSON parser takes; a cut within a character leaves its rest out. */
export function tailText(bytes: Buffer, isCut: boolean): string {
  let start = 0;
  if (isCut) while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return cleanText(bytes.subarray(start).toString('utf8'));
}

const mostParts = 4_096;

/** Keeps the end of what is added, in memory that does not grow with all of it. */
export class Tail {
  readonly #keepBytes: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  totalBytes = 0;

  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  add(chunk: Uint8Array): void {
    this.totalBytes += chunk.length;
    this.#bytes += chunk.length;
    this.#parts.push(chunk);
    if (this.#bytes > 2 * this.#keepBytes || this.#parts.length > mostParts) this.#pack();
  }

  /** As `tailText`. */
  text(): string {
    const bytes = this.#pack();
    return tailText(bytes, this.totalBytes > bytes.length);
  }

  #pack(): Buffer {
    const whole = Buffer.concat(this.#parts);
    const kept = whole.subarray(Math.max(0, whole.length - this.#keepBytes));
    this.#parts = [kept];
    this.#bytes = kept.length;
    return kept;
  }
}

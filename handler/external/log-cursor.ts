/**
 * Where a reader of a log stands, so that it can go on after its connection broke without losing or doubling a line.
 * Each line comes with its time in nanoseconds, but the next reading can only be asked for from a whole second on, so
 * the lines of the last seconds come again. Two streams of one container may be written a moment out of order: lines
 * are known again by what they are, not by where they stand.
 */

/** Seconds that are read again. One more than needed, for lines that are out of order. */
const againSeconds = 2;

/** Knows which lines were handed on already. */
export class LogCursor {
  /** Raw lines of the last seconds to how often they came. */
  #recent = new Map<string, number>();
  /** As `#recent`, less what came again in this reading. */
  #expected = new Map<string, number>();
  /** The second of the latest line, since 1970. */
  #second = 0;

  /** From when on to ask for lines, seconds since 1970; undefined at first: from the beginning. */
  get sinceSecond(): number | undefined {
    return this.#second === 0 ? undefined : this.#second - againSeconds + 1;
  }

  /** To be called before each reading. */
  begin(): void {
    this.#expected = new Map(this.#recent);
  }

  /** The text of a raw line, `<time> <text>`; undefined when it was handed on before. */
  take(raw: string): string | undefined {
    const second = secondOf(raw);
    // Not of the log: what the server says of itself, such as that it cannot find the container.
    if (!Number.isFinite(second)) return raw;
    const expected = this.#expected.get(raw) ?? 0;
    if (expected > 0) {
      this.#expected.set(raw, expected - 1);
      return undefined;
    }
    if (second > this.#second) this.#moveTo(second);
    this.#recent.set(raw, (this.#recent.get(raw) ?? 0) + 1);
    return raw.includes(' ') ? raw.slice(raw.indexOf(' ') + 1) : '';
  }

  #moveTo(second: number): void {
    this.#second = second;
    const oldest = second - againSeconds + 1;
    for (const raw of this.#recent.keys()) if (secondOf(raw) < oldest) this.#recent.delete(raw);
  }
}

function secondOf(raw: string): number {
  return Math.floor(Date.parse(raw.split(' ', 1)[0] ?? '') / 1_000);
}

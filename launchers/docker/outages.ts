import type { Attendance } from './patience.ts';

/** An engine that goes down in order ends its containers before it stops answering. */
const leadMilliseconds = 30_000;

/** When the engine was away, as one follower saw it. */
export class Outages implements Attendance {
  #last: { readonly from: number; to: number } | undefined;
  #isAway = false;

  away(): void {
    const now = Date.now();
    if (this.#isAway && this.#last !== undefined) this.#last.to = now;
    else this.#last = { from: now, to: now };
    this.#isAway = true;
  }

  answered(): void {
    if (this.#isAway && this.#last !== undefined) this.#last.to = Date.now();
    this.#isAway = false;
  }

  /** Whether what happened then, in epoch milliseconds, may have been the engine's doing. Nobody knows when: it may. */
  covers(time: number | undefined): boolean {
    if (this.#last === undefined) return false;
    return time === undefined || (time >= this.#last.from - leadMilliseconds && time <= this.#last.to);
  }
}

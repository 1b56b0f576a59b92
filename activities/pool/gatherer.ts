/**
 * Turns single questions into requests with many. A question that comes alone is sent at once, for its latency is what
 * a lone Operation feels; what comes soon after another gathers for some milliseconds and goes together, for each
 * request costs the api and Postgres more than each question in it. What an answer had no room for is asked again at
 * once. After a passing trouble everybody rests together, and what is still wanted goes out again, in order.
 */
import { ServiceRefused, ServiceUnavailable } from './service-errors.ts';

/** One answer per item, in order: the verdict, or why this item alone was refused. */
export type ItemAnswer<Verdict> = { readonly verdict: Verdict } | { readonly refused: ServiceRefused };

/** Sends JSON texts of items as one request, once. @throws ServiceUnavailable | ServiceRefused for all of them. */
export type Exchange<Verdict> = (items: readonly string[]) => Promise<readonly ItemAnswer<Verdict>[]>;

/** What is told apart among verdicts: `hadNoRoom` is one that another request is to bring at once. */
export interface VerdictKinds<Verdict> {
  readonly hadNoRoom?: (verdict: Verdict) => boolean;
}

/** How much goes into one request, and when. */
export interface GathererOptions {
  readonly mostItems: number;
  readonly mostBytes: number;
  /** Least time between two requests; an item that comes later than that after the last one goes at once. */
  readonly gatherMilliseconds: number;
  /** The same after a request of many: so much per item of the last one, at most this. */
  readonly longestGatherMilliseconds: number;
  /** Requests under way at once. */
  readonly mostRequests: number;
  /** Mean of the first rest after a trouble; doubles up to `longestRestMilliseconds`. */
  readonly firstRestMilliseconds: number;
  readonly longestRestMilliseconds: number;
  /** Told once per change. */
  readonly onReachable: (reachable: boolean, trouble?: ServiceUnavailable) => void;
}

interface Waiting<Verdict> {
  readonly text: string;
  readonly bytes: number;
  readonly signal: AbortSignal;
  readonly since: number;
  readonly settle: { resolve(verdict: Verdict): void; reject(error: unknown): void };
}

/** Gathers items into requests, and hands each its verdict. */
export class Gatherer<Item, Verdict> {
  readonly #exchange: Exchange<Verdict>;
  readonly #options: GathererOptions;
  readonly #hadNoRoom: (verdict: Verdict) => boolean;
  #waiting: Waiting<Verdict>[] = [];
  #requests = 0;
  #troubles = 0;
  #restUntil = 0;
  #sentTime = Number.NEGATIVE_INFINITY;
  #sentItems = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange<Verdict>, options: GathererOptions, kinds: VerdictKinds<Verdict> = {}) {
    this.#exchange = exchange;
    this.#options = options;
    this.#hadNoRoom = kinds.hadNoRoom ?? (() => false);
  }

  /** Resolves with the item's verdict. @throws ServiceRefused, or the signal's reason once it aborts. */
  ask(item: Item, signal: AbortSignal): Promise<Verdict> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const text = JSON.stringify(item);
    return new Promise((resolve, reject) => {
      const abandon = () => {
        this.#waiting = this.#waiting.filter((other) => other !== entry);
        reject(signal.reason);
      };
      const done = () => signal.removeEventListener('abort', abandon);
      const entry: Waiting<Verdict> = {
        text,
        bytes: Buffer.byteLength(text) + 1,
        signal,
        since: performance.now(),
        settle: {
          resolve(verdict) {
            done();
            resolve(verdict);
          },
          reject(error) {
            done();
            reject(error);
          },
        },
      };
      signal.addEventListener('abort', abandon, { once: true });
      this.#waiting.push(entry);
      this.#pump();
    });
  }

  #pump(): void {
    clearTimeout(this.#timer);
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || this.#requests >= this.#options.mostRequests) return;
      const now = performance.now();
      const count = this.#batchLength();
      const isFull = count < this.#waiting.length || count === this.#options.mostItems;
      const gathersUntil = isFull ? now : this.#sentTime + this.#gatherMilliseconds();
      const due = Math.max(gathersUntil, this.#restUntil);
      if (due > now) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(due - now));
        return;
      }
      void this.#send(this.#waiting.splice(0, count));
    }
  }

  /**
   * Where items come fast, requests are fewer and larger; where one comes now and then, it does not wait for others.
   */
  #gatherMilliseconds(): number {
    const { gatherMilliseconds, longestGatherMilliseconds } = this.#options;
    return Math.max(gatherMilliseconds, Math.min(gatherMilliseconds * this.#sentItems, longestGatherMilliseconds));
  }

  /** How many of the waiting fit into one request; at least one, however large. */
  #batchLength(): number {
    let bytes = 0;
    let count = 0;
    for (const { bytes: more } of this.#waiting) {
      if (count === this.#options.mostItems || (count > 0 && bytes + more > this.#options.mostBytes)) break;
      bytes += more;
      count++;
    }
    return count;
  }

  async #send(batch: readonly Waiting<Verdict>[]): Promise<void> {
    this.#requests++;
    this.#sentTime = performance.now();
    this.#sentItems = batch.length;
    try {
      const answers = await this.#exchange(batch.map(({ text }) => text));
      this.#answered();
      this.#settle(batch, answers);
    } catch (error) {
      if (error instanceof ServiceUnavailable) {
        this.#rest(error);
        this.#waiting.unshift(...batch.filter(({ signal }) => !signal.aborted));
      } else {
        if (error instanceof ServiceRefused) this.#answered();
        for (const entry of batch) entry.settle.reject(error);
      }
    } finally {
      this.#requests--;
      this.#pump();
    }
  }

  #settle(batch: readonly Waiting<Verdict>[], answers: readonly ItemAnswer<Verdict>[]): void {
    const isLeft = (answer: ItemAnswer<Verdict> | undefined) =>
      answer !== undefined && 'verdict' in answer && this.#hadNoRoom(answer.verdict);
    // An answer that brings nothing at all would be asked for without end.
    const bringsSome = !answers.every(isLeft);
    const left: Waiting<Verdict>[] = [];
    batch.forEach((entry, index) => {
      const answer = answers[index];
      if (answer === undefined)
        entry.settle.reject(
          new Error(`The ResourcePool service gave ${answers.length} verdicts for ${batch.length} items.`),
        );
      else if (bringsSome && isLeft(answer)) left.push(entry);
      else if ('verdict' in answer) entry.settle.resolve(answer.verdict);
      else entry.settle.reject(answer.refused);
    });
    // Behind what came meanwhile: large payloads of one customer hold up nobody else's small ones.
    this.#waiting.push(...left.filter(({ signal }) => !signal.aborted));
  }

  #answered(): void {
    if (this.#troubles > 0) this.#options.onReachable(true);
    this.#troubles = 0;
    this.#restUntil = 0;
  }

  #rest(trouble: ServiceUnavailable): void {
    if (this.#troubles === 0) this.#options.onReachable(false, trouble);
    const { firstRestMilliseconds, longestRestMilliseconds } = this.#options;
    const mean = Math.min(longestRestMilliseconds, firstRestMilliseconds * 2 ** Math.min(this.#troubles, 20));
    this.#troubles++;
    // Between half and one and a half of it, so that the workers of a pool do not come back in step.
    const own = mean * (0.5 + Math.random());
    this.#restUntil = Math.max(
      this.#restUntil,
      performance.now() + Math.max(own, (trouble.retryAfterSeconds ?? 0) * 1000),
    );
  }
}

/**
 * Gathers what a handler says of itself and hands it on: at most as often as the outlet takes it, the last report
 * always, and nothing after `COMPLETE`. A report that cannot be handed on never fails the handler: it is told in the
 * log, and what is newest by then is tried again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { waitAfter } from './backoff.ts';
import type { Outlet, Wish } from './outlets/outlet.ts';
import {
  endOf,
  type HandlerEnd,
  noProgress,
  type Progress,
  type ProgressReport,
  type Report,
  reportOf,
  withReport,
} from './progress.ts';

/** Waits after reports that failed. */
const backoff = { firstMilliseconds: 1_000, mostMilliseconds: 30_000 };

/** The reports of one handler. */
export class Reporter {
  readonly #outlet: Outlet;
  readonly #stop: (reason: string) => void;
  #progress: Progress = noProgress;
  #isNew = false;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #nextTime = 0;
  #failures = 0;
  #isComplete = false;
  #end: { readonly end: HandlerEnd; readonly delivered: Promise<void> } | undefined;

  /** `stop` is called when whoever hears of the progress wants the handler to end. */
  constructor(outlet: Outlet, stop: (reason: string) => void = () => {}) {
    this.#outlet = outlet;
    this.#stop = stop;
  }

  /** See `Report`. */
  readonly report: Report = (first: ProgressReport | number | string, second?: number | string): boolean => {
    const report = reportOf(first, second);
    if (this.#isComplete) {
      console.error(`A report after COMPLETE counts no more: ${JSON.stringify(report).slice(0, 500)}`);
      return false;
    }
    const end = endOf(report);
    this.#progress = withReport(this.#progress, end === undefined ? report : withoutState(report));
    if (end !== undefined) {
      // Whoever ends the handler waits for it, and hears when it fails.
      this.end(end).catch(() => {});
      return true;
    }
    this.#isNew = true;
    this.#plan();
    return true;
  };

  /** The end that was reported already. */
  get reportedEnd(): HandlerEnd | undefined {
    return this.#end?.end;
  }

  /** Hands on the end; an earlier one stays. @throws when it cannot be delivered */
  end(end: HandlerEnd): Promise<void> {
    if (this.#end === undefined) {
      this.#isComplete = true;
      clearTimeout(this.#timer);
      this.#end = { end, delivered: this.#deliver(end) };
    }
    return this.#end.delivered;
  }

  /** Takes an end back that nobody took, so that another one can be told. */
  retract(): void {
    this.#end = undefined;
    this.#isComplete = false;
  }

  /** Hands on what is new, within this time, and takes nothing more: the end is for others to tell. */
  async release(milliseconds: number): Promise<void> {
    this.#isComplete = true;
    clearTimeout(this.#timer);
    const sent = (async () => {
      await this.#sending;
      if (this.#isNew) await this.#send();
    })();
    await Promise.race([sent, delay(milliseconds, undefined, { ref: false })]);
  }

  async #deliver(end: HandlerEnd): Promise<void> {
    await this.#sending;
    await this.#outlet.end(this.#progress, end);
  }

  /** One report at a time, and none sooner than the outlet wants it. */
  #plan(): void {
    if (!this.#isNew || this.#isComplete || this.#sending !== undefined || this.#timer !== undefined) return;
    const send = (): void => {
      this.#timer = undefined;
      void this.#send();
    };
    const wait = this.#nextTime - Date.now();
    if (wait <= 0) send();
    else this.#timer = setTimeout(send, wait);
  }

  /** Never rejects. A file is written when this returns. */
  #send(): Promise<void> {
    this.#isNew = false;
    this.#nextTime = Date.now() + this.#outlet.leastMilliseconds;
    const sending = this.#handOn().then(() => {
      this.#sending = undefined;
      this.#plan();
    });
    this.#sending = sending;
    return sending;
  }

  async #handOn(): Promise<void> {
    try {
      const wish: Wish = await this.#outlet.progress(this.#progress);
      this.#failures = 0;
      if (wish.wish === 'stop') this.#stop(wish.reason);
    } catch (error) {
      this.#failures += 1;
      this.#isNew = true;
      this.#nextTime = Date.now() + waitAfter(this.#failures, backoff);
      console.error(`Progress could not be reported (${this.#failures}): ${String(error)}`);
    }
  }
}

/** The message of a COMPLETE is the outcome, and no words about the work. */
function withoutState({ processingState, processingStateMessage, resultPayload, ...report }: ProgressReport) {
  return report;
}

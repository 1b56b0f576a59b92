/**
 * What this pool worker's activities are doing right now, and the one clock they share: it sends Temporal's heartbeats
 * when they are due, a beat for all Operations to the ResourcePool service in one request, and what handlers reported
 * since, the newest of each Operation. An Operation that ends between two ticks costs none of this.
 */

import type { Logger } from 'pino';
import type { HandlerProgress } from '../../launchers/launcher.ts';
import type { Fence, ProgressVerdict, ReportProgressItem } from '../../messages/resource-pool.ts';
import type { ItemAnswer } from './gatherer.ts';
import { fittingProgress } from './report-limits.ts';

/** Why an Operation's signal aborted: the ResourcePool service said so. */
export class ToldByService extends Error {
  readonly verdict: 'cancelled' | 'over' | 'ended';
  constructor(verdict: 'cancelled' | 'over' | 'ended') {
    super(verdict === 'cancelled' ? 'Cancel was asked for.' : 'This launch is over.');
    this.name = 'ToldByService';
    this.verdict = verdict;
  }
}

/** The part of an activity's Context that is needed here. */
export interface ActivityBeat {
  readonly info: { readonly heartbeatTimeoutMs?: number };
  readonly cancellationSignal: AbortSignal;
  heartbeat(details?: unknown): void;
}

/** How they beat, and to whom. */
export interface RunningOperationsOptions {
  readonly report: (items: readonly ReportProgressItem[]) => Promise<readonly ItemAnswer<ProgressVerdict>[]>;
  /** This worker's name in the record. */
  readonly worker: string;
  readonly log: Logger;
  /** Between two beats; 5 s. */
  readonly beatMilliseconds?: number;
  /** Least time from one request to the next, in which reports of progress gather; 1 s. */
  readonly gatherMilliseconds?: number;
}

const tickMilliseconds = 500;

/** One activity at work. */
export class RunningOperation {
  readonly #activity: ActivityBeat;
  readonly #stop = new AbortController();
  readonly #heartbeatMilliseconds: number;
  readonly #onNews: (isUrgent: boolean) => void;
  readonly #onActivityCancelled = () => this.#stop.abort(this.#activity.cancellationSignal.reason);
  #lastHeartbeat = performance.now();
  #launch: { readonly key: string; readonly fence: Fence } | undefined;
  #startedTime: number | undefined;
  #progress: HandlerProgress | undefined;
  #untold: { startedTime?: number; progress?: HandlerProgress } = {};

  constructor(activity: ActivityBeat, onNews: (isUrgent: boolean) => void) {
    this.#activity = activity;
    this.#onNews = onNews;
    // A heartbeat timeout may be absent in tests only; every minute is then as good as any.
    this.#heartbeatMilliseconds = (activity.info.heartbeatTimeoutMs ?? 180_000) / 3;
    if (activity.cancellationSignal.aborted) this.#onActivityCancelled();
    else activity.cancellationSignal.addEventListener('abort', this.#onActivityCancelled, { once: true });
  }

  /** Aborts with the activity's cancellation, or with ToldByService. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get key(): string | undefined {
    return this.#launch?.key;
  }

  /** The newest the handler said of itself. */
  get progress(): HandlerProgress | undefined {
    return this.#progress;
  }

  get startedTime(): number | undefined {
    return this.#startedTime;
  }

  /** From now on it beats as this launch. */
  launched(key: string, fence: Fence): void {
    this.#launch = { key, fence };
    this.#startedTime = undefined;
    this.#progress = undefined;
    this.#untold = {};
  }

  /** Its run is over; from now on there are heartbeats only. */
  ended(): void {
    this.#launch = undefined;
    this.#untold = {};
  }

  started(startedTime: number): void {
    this.#startedTime = startedTime;
    this.#untold.startedTime = startedTime;
    this.#onNews(false);
  }

  reported(progress: HandlerProgress): void {
    this.#progress = progress;
    this.#untold.progress = progress;
    this.#onNews(true);
  }

  heartbeatIfDue(now: number): void {
    if (now - this.#lastHeartbeat < this.#heartbeatMilliseconds) return;
    this.#lastHeartbeat = now;
    this.#activity.heartbeat({
      key: this.#launch?.key,
      launch: this.#launch?.fence.launch,
      startedTime: this.#startedTime,
    });
  }

  get hasNews(): boolean {
    return this.#untold.progress !== undefined || this.#untold.startedTime !== undefined;
  }

  /** Its item of the next request, and what to do with the answer to it. Without a launch there is nothing to say. */
  takeReport(
    worker: string,
  ): { item: ReportProgressItem; failed(): void; answered(verdict: ProgressVerdict): void } | undefined {
    const launch = this.#launch;
    if (launch === undefined) return undefined;
    const told = this.#untold;
    this.#untold = {};
    return {
      item: {
        ...launch.fence,
        // A beat that says nothing new is cheaper for the record than one that does.
        ...(told.startedTime === undefined && told.progress === undefined ? {} : { worker }),
        ...(told.startedTime === undefined ? {} : { startedTime: told.startedTime }),
        ...(told.progress === undefined ? {} : fittingProgress(told.progress)),
      },
      failed: () => {
        if (this.#launch === launch) this.#untold = { ...told, ...this.#untold };
      },
      answered: (answer) => {
        if (this.#launch !== launch || answer.verdict === 'ok') return;
        const ended = answer.verdict === 'over' && answer.ended === true;
        this.#stop.abort(new ToldByService(ended ? 'ended' : answer.verdict));
      },
    };
  }

  detach(): void {
    this.#activity.cancellationSignal.removeEventListener('abort', this.#onActivityCancelled);
  }
}

/** The Operations that the activities of this worker are at. */
export class RunningOperations {
  readonly #options: RunningOperationsOptions;
  readonly #beatMilliseconds: number;
  readonly #gatherMilliseconds: number;
  readonly #all = new Set<RunningOperation>();
  readonly #ticker: NodeJS.Timeout;
  /** The next request, while one is to come. */
  #next: { readonly timer: NodeJS.Timeout; readonly due: number } | undefined;
  #lastBeat = performance.now();
  /** When the last request was sent. */
  #sent = Number.NEGATIVE_INFINITY;
  /** The next request is for all, not for those with news only. */
  #beatIsDue = false;
  #reporting = false;

  constructor(options: RunningOperationsOptions) {
    this.#options = options;
    this.#beatMilliseconds = options.beatMilliseconds ?? 5_000;
    this.#gatherMilliseconds = options.gatherMilliseconds ?? 1_000;
    this.#ticker = setInterval(() => this.#tick(), Math.min(tickMilliseconds, this.#beatMilliseconds));
    this.#ticker.unref();
  }

  enter(activity: ActivityBeat): RunningOperation {
    const running = new RunningOperation(activity, (isUrgent) => this.#sendSoon(isUrgent));
    this.#all.add(running);
    return running;
  }

  leave(running: RunningOperation): void {
    running.detach();
    this.#all.delete(running);
  }

  /** True while an activity here follows the run with this key. */
  follows(key: string): boolean {
    for (const running of this.#all) if (running.key === key) return true;
    return false;
  }

  get size(): number {
    return this.#all.size;
  }

  close(): void {
    clearInterval(this.#ticker);
    clearTimeout(this.#next?.timer);
  }

  #tick(): void {
    const now = performance.now();
    for (const running of this.#all) running.heartbeatIfDue(now);
    if (now - this.#lastBeat < this.#beatMilliseconds) return;
    this.#beatIsDue = true;
    this.#sendSoon();
  }

  /**
   * At once after a quiet time, else with all that comes until the next request is due. What is not urgent waits as
   * long in any case: that something began is not told of what ends soon, for its end tells it.
   */
  #sendSoon(isUrgent = true): void {
    if (this.#reporting) return;
    const now = performance.now();
    const due = Math.max(now, (isUrgent ? this.#sent : now) + this.#gatherMilliseconds);
    if (this.#next !== undefined && this.#next.due <= due) return;
    clearTimeout(this.#next?.timer);
    const timer = setTimeout(
      () => {
        this.#next = undefined;
        void this.#report();
      },
      Math.ceil(due - now),
    );
    this.#next = { timer, due };
  }

  /** One at a time: while the service is slow, news pile up in their Operations, where the newest wins. */
  async #report(): Promise<void> {
    const { report: send, worker, log } = this.#options;
    const now = performance.now();
    const isBeat = this.#beatIsDue;
    if (isBeat) [this.#beatIsDue, this.#lastBeat] = [false, now];
    const wanted = [...this.#all].filter((running) => isBeat || running.hasNews);
    const reports = wanted.flatMap((running) => running.takeReport(worker) ?? []);
    if (reports.length === 0) return;
    this.#sent = now;
    this.#reporting = true;
    try {
      const answers = await send(reports.map(({ item }) => item));
      reports.forEach((report, index) => {
        const answer = answers[index];
        const { agendaId, operation } = report.item;
        if (answer !== undefined && 'verdict' in answer) report.answered(answer.verdict);
        else log.warn({ agendaId, operation, err: answer?.refused }, 'progress was refused');
      });
    } catch (error) {
      log.debug({ err: error, operations: reports.length }, 'progress could not be reported, the next beat carries it');
      for (const report of reports) report.failed();
      // After a trouble it waits for the next beat: the clock sets the pace, not the handlers.
      return;
    } finally {
      this.#reporting = false;
    }
    // What came in meanwhile.
    if ([...this.#all].some((running) => running.hasNews)) this.#sendSoon();
  }
}

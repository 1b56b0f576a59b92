/** Looks at the Pod of one launch, change by change: finds what is new, and which limit is broken. */
import type { KubernetesSettings } from '../launchers/container/kubernetes-settings.ts';
import { lastReportTime } from '../launchers/last-report.ts';
import type { FollowEvents } from '../launchers/launcher.ts';
import type { Reported } from '../launchers/outcome.ts';
import { maximumProgressBytes, parseReport, progressFault, type Report } from '../launchers/progress-report.ts';
import { annotations } from './names.ts';
import type { Pod } from './pod.ts';
import { type PodState, stateOf } from './pod-state.ts';
import { type StopOrder, stopOrderOf } from './stop-order.ts';

/** What a look found. */
export type Look =
  /** Nothing of it runs any more, or what does is not ours to wait for. */
  | { readonly kind: 'over' }
  /** To be looked at again then at the latest, if nothing changes; epoch milliseconds. */
  | { readonly kind: 'wait'; readonly untilTime: number }
  | { readonly kind: 'breach'; readonly order: StopOrder }
  /** No sign of life for `quietSeconds` that a Pod shows; its log or the service may have one. */
  | { readonly kind: 'quiet'; readonly order: StopOrder }
  /** A stop was ordered, and its Pod still runs. */
  | { readonly kind: 'stopping'; readonly order: StopOrder };

/** How long to wait at most between two looks, so that a clock that was set does no harm. */
const longestWaitMilliseconds = 60_000;

/** A launch that is followed. It keeps what it has seen, so that each look tells only what is new. */
export class FollowedPod implements Reported {
  readonly #settings: KubernetesSettings;
  readonly #events: FollowEvents;
  #toldStarted = false;
  #toldWords: string | undefined;
  #progressText: string | undefined;
  #lastSignTime = 0;
  report: Report | undefined;
  fault: Reported['fault'];

  constructor(settings: KubernetesSettings, events: FollowEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  /** Somebody heard of it then. */
  heard(time: number): void {
    this.#lastSignTime = Math.max(this.#lastSignTime, time);
  }

  /** Hears of the signs of life that its Pod does not show: lines of its log, and reports with its token. */
  async listen(lastLineTime: Promise<number>, now: () => number): Promise<void> {
    const times = await Promise.all([lastLineTime, lastReportTime(this.#events, now)]);
    for (const time of times) this.heard(time);
  }

  look(pod: Pod, now: number): Look {
    this.#lookAtReport(pod, now);
    const state = stateOf(pod);
    this.#tell(state);
    if (state.kind === 'ended' || state.kind === 'taken') return { kind: 'over' };
    const order = stopOrderOf(pod);
    if (order !== undefined) return { kind: 'stopping', order };
    return state.kind === 'waiting' ? this.#lookWaiting(state, now) : this.#lookRunning(state, now);
  }

  #lookWaiting({ since, cause }: PodState & { kind: 'waiting' }, now: number): Look {
    const { scheduledSeconds, graceSeconds } = this.#settings;
    const untilTime = since + scheduledSeconds * 1_000;
    if (now < untilTime) return this.#wait(untilTime, now);
    const words = cause?.words;
    if (cause?.code !== undefined) {
      const why = `${cause.words} (not started within scheduledSeconds = ${scheduledSeconds})`;
      return { kind: 'breach', order: { reason: 'failed', code: cause.code, words: why, graceSeconds: 0 } };
    }
    const order = { reason: 'timedOut', limit: 'scheduled', seconds: scheduledSeconds, graceSeconds } as const;
    return { kind: 'breach', order: words === undefined ? order : { ...order, words } };
  }

  #lookRunning({ startedTime }: PodState & { kind: 'running' }, now: number): Look {
    const { runSeconds, quietSeconds, graceSeconds, contract } = this.#settings;
    let untilTime = Number.POSITIVE_INFINITY;
    if (runSeconds !== undefined) {
      untilTime = startedTime + runSeconds * 1_000;
      if (now >= untilTime)
        return { kind: 'breach', order: { reason: 'timedOut', limit: 'run', seconds: runSeconds, graceSeconds } };
    }
    if (quietSeconds !== undefined) {
      const quietTime = Math.max(startedTime, this.#lastSignTime) + quietSeconds * 1_000;
      if (now >= quietTime) {
        // POP tolerates a handler that reported its end and then does not exit.
        if (contract === 'pop1' && this.report?.outcome !== undefined)
          return { kind: 'breach', order: { reason: 'complete', graceSeconds } };
        return { kind: 'quiet', order: { reason: 'timedOut', limit: 'quiet', seconds: quietSeconds, graceSeconds } };
      }
      untilTime = Math.min(untilTime, quietTime);
    }
    return this.#wait(untilTime, now);
  }

  #wait(untilTime: number, now: number): Look {
    return { kind: 'wait', untilTime: Math.min(untilTime, now + longestWaitMilliseconds) };
  }

  #tell(state: PodState): void {
    if (state.kind === 'running' && !this.#toldStarted) {
      this.#toldStarted = true;
      this.#events.started(state.startedTime);
      if (this.#toldWords !== undefined && this.report === undefined)
        this.#events.progress({ message: 'The handler runs.' });
    }
    if (state.kind !== 'waiting' || state.cause === undefined || state.cause.words === this.#toldWords) return;
    this.#toldWords = state.cause.words;
    this.#events.progress({ message: state.cause.words });
  }

  #lookAtReport({ metadata }: Pod, now: number): void {
    const text = metadata.annotations?.[annotations.progress];
    if (text === undefined || text === this.#progressText) return;
    // What was there before it was followed is older than this look.
    if (this.#progressText !== undefined || this.#toldStarted) this.heard(now);
    this.#progressText = text;
    const bytes = Buffer.byteLength(text);
    const read =
      bytes > maximumProgressBytes
        ? progressFault(
            'progressTooLarge',
            `The progress report has ${bytes} bytes; the limit is ${maximumProgressBytes}.`,
          )
        : parseReport(text);
    if ('progress' in read) {
      this.report = read;
      this.fault = undefined;
      this.#events.progress(read.progress);
    } else {
      this.fault = read;
      const events = this.report?.progress.diagnosticEvents ?? [];
      this.#events.progress({ ...this.report?.progress, diagnosticEvents: [...events, read] });
    }
  }
}

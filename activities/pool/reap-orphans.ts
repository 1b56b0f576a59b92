/**
 * Runs that are here though no activity here follows them: left by a worker that crashed or was told to let go, and soon
 * adopted, or wanted by nobody any more. Only the ResourcePool service knows which; what it does not disown is left alone.
 */
import type { PoolWorker, ReachableRun } from './pool-worker.ts';
import { fenceOf, reachableRuns } from './pool-worker.ts';
import { stopReachable, unknownGraceSeconds } from './stop-operation.ts';

export interface ReapReport {
  readonly asked: number;
  readonly stopped: number;
  readonly forgotten: number;
}

const usualSeconds = 60;
/** A question counts as a sign of life of its Agenda, so it is asked ever more seldom: else an orphan would keep its Agenda looking alive. */
const longestWaitRounds = 8;

export class OrphanReaper {
  readonly #pool: PoolWorker;
  readonly #roundMilliseconds: number;
  #asked = new Map<string, { readonly next: number; readonly wait: number }>();
  #timer: NodeJS.Timeout | undefined;
  #reaping: Promise<unknown> = Promise.resolve();

  constructor(pool: PoolWorker, roundSeconds = usualSeconds) {
    this.#pool = pool;
    this.#roundMilliseconds = roundSeconds * 1000;
  }

  /** Looks now and once a round until closed. */
  start(): void {
    const look = () => {
      this.#reaping = this.#reaping
        .then(() => this.reap())
        .catch((error: unknown) => this.#pool.log.warn({ err: error }, 'left-over runs could not be looked at, the next round will'));
    };
    this.#timer = setInterval(look, this.#roundMilliseconds);
    this.#timer.unref();
    look();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** One round. */
  async reap(now = performance.now()): Promise<ReapReport> {
    const orphans = (await reachableRuns(this.#pool)).filter(({ known }) => !this.#pool.running.follows(known.key));
    const due = orphans.filter(({ known }) => (this.#asked.get(known.key)?.next ?? 0) <= now);
    const asked = new Map<string, { next: number; wait: number }>();
    const round = this.#roundMilliseconds;
    for (const { known } of orphans) {
      const earlier = this.#asked.get(known.key);
      if (earlier !== undefined && earlier.next > now) asked.set(known.key, earlier);
      else {
        const wait = earlier === undefined ? round : Math.min(longestWaitRounds * round, earlier.wait * 2);
        // A little less than the rounds are apart, so that a round that comes early does not skip a turn.
        asked.set(known.key, { next: now + wait - round / 10, wait });
      }
    }
    this.#asked = asked;
    const answers = await this.#pool.client.reportProgress(due.map(({ known }) => fenceOf(known)));
    const done = await Promise.all(
      due.map(async (orphan, index) => {
        const answer = answers[index];
        if (answer === undefined || !('verdict' in answer) || answer.verdict.verdict === 'ok') return undefined;
        // An activity may have taken it up meanwhile; then it hears the same and acts itself.
        if (this.#pool.running.follows(orphan.known.key)) return undefined;
        return this.#drop(orphan, answer.verdict.verdict);
      }),
    );
    const report = {
      asked: due.length,
      stopped: done.filter((each) => each === 'stopped').length,
      forgotten: done.filter((each) => each === 'forgotten').length,
    };
    if (report.stopped > 0 || report.forgotten > 0) this.#pool.log.info(report, 'left-over runs reaped');
    return report;
  }

  async #drop(orphan: ReachableRun, verdict: 'cancelled' | 'over'): Promise<'stopped' | 'forgotten' | undefined> {
    const { launcher, known } = orphan;
    try {
      if (verdict === 'cancelled') await stopReachable(this.#pool, orphan);
      else {
        await launcher.stop(known.key, unknownGraceSeconds);
        await launcher.forget(known.key);
      }
      this.#asked.delete(known.key);
      return known.alive ? 'stopped' : 'forgotten';
    } catch (error) {
      this.#pool.log.warn(
        { err: error, key: known.key, agendaId: known.agendaId, operation: known.operation },
        'a left-over run could not be stopped, the next round tries again',
      );
      return undefined;
    }
  }
}

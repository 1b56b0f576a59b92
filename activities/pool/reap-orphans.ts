/**
 * Runs that are here though no activity here follows them: left by a worker that crashed or was told to let go, and
 * soon adopted, or wanted by nobody any more. Only the ResourcePool service knows which; what it does not disown is
 * left alone.
 */
import { fenceOf } from '../../messages/resource-pool.ts';
import type { PoolWorker, ReachableRun } from './parts.ts';
import { reachableRuns } from './parts.ts';
import { stopReachable, unknownGraceSeconds } from './stop-operation.ts';

/** What one round found. */
export interface ReapReport {
  readonly asked: number;
  readonly stopped: number;
  readonly forgotten: number;
}

const usualSeconds = 60;

/** Asks now and then for runs that no activity follows, and ends those that are wanted no more. */
export class OrphanReaper {
  readonly #pool: PoolWorker;
  readonly #roundMilliseconds: number;
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
        .catch((error: unknown) =>
          this.#pool.log.warn({ err: error }, 'left-over runs could not be looked at, the next round will'),
        );
    };
    this.#timer = setInterval(look, this.#roundMilliseconds);
    this.#timer.unref();
    look();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** One round. */
  async reap(): Promise<ReapReport> {
    const orphans = (await reachableRuns(this.#pool)).filter(({ known }) => !this.#pool.running.follows(known.key));
    if (orphans.length === 0) return { asked: 0, stopped: 0, forgotten: 0 };
    const answers = await this.#pool.client.reportProgress(
      orphans.map(({ known }) => ({ ...fenceOf(known), orphan: true })),
    );
    const done = await Promise.all(
      orphans.map(async (orphan, index) => {
        const answer = answers[index];
        if (answer === undefined || !('verdict' in answer) || answer.verdict.verdict === 'ok') return undefined;
        // An activity may have taken it up meanwhile; then it hears the same and acts itself.
        if (this.#pool.running.follows(orphan.known.key)) return undefined;
        return this.#drop(orphan, answer.verdict.verdict);
      }),
    );
    const report = {
      asked: orphans.length,
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

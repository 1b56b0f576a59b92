/** Tells the ResourcePool service how a launch ended, until it has acknowledged; only then is the run forgotten. */
import { type FailureCode, failureOf } from '../../agenda/failure.ts';
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { Ending, HandlerRun, Launcher } from '../../launchers/launcher.ts';
import { type FinishOperationItem, type FinishVerdict, fenceOf } from '../../messages/resource-pool.ts';
import type { OperationActivity, PoolWorker } from './parts.ts';
import { fittingEvents } from './report-limits.ts';
import { ServiceRefused } from './service-errors.ts';

/** A run without what its handler is handed over, which may be large. */
export type HeldRun = Omit<HandlerRun, 'settings' | 'payload' | 'lastProgress' | 'report'>;

/** A launch this activity holds. */
export interface HeldLaunch {
  readonly run: HeldRun;
  /** Absent for a type that is not registered: nothing runs. */
  readonly launcher?: Launcher;
  readonly graceSeconds: number;
  /** When the activity asked its launcher to start it. */
  readonly askedTime: number;
  adopted?: boolean;
  /** Follows the run once more, for what it left. */
  follow?: (signal: AbortSignal) => Promise<Ending>;
  ending?: Ending;
}

/** Longest time a cancelled activity goes on reporting an end that nobody acknowledges; its workflow waits less. */
const patienceMilliseconds = 600_000;

/**
 * Resolves with the verdict when the end is in the record.
 * @throws when the activity is to let go first, or the service refuses this pool.
 */
export async function reportEnd(
  pool: PoolWorker,
  activity: OperationActivity,
  launch: HeldLaunch,
  ending: Ending,
): Promise<FinishVerdict> {
  const noticedTime = Date.now();
  const item = finishItem(launch, ending, noticedTime);
  const verdict = await finishInSomeForm(pool, activity, item);
  const outcome = outcomeOf(verdict);
  const { run } = launch;
  pool.log.info(
    {
      cid: run.cid,
      agendaId: run.agendaId,
      attempt: run.attempt,
      operation: run.operation,
      progressId: run.progressId,
      operationAttempt: run.operationAttempt,
      launch: run.launch,
      type: run.type,
      customerId: run.customerId,
      outcome,
      verdict: verdict.verdict,
      ...(verdict.verdict === 'refused' ? { code: verdict.code, reason: verdict.message } : {}),
      ...(verdict.verdict === 'again' ? { inMilliseconds: verdict.inMilliseconds } : {}),
      ...(ending.kind === 'lost' ? { code: ending.code, reason: ending.message } : {}),
      adopted: launch.adopted ?? false,
      waitedMilliseconds: Math.max(0, Math.round(launch.askedTime - activity.info.scheduledTimestampMs)),
      ...(ending.startedTime === undefined
        ? {}
        : { startMilliseconds: Math.max(0, Math.round(ending.startedTime - launch.askedTime)) }),
      ...(ending.startedTime === undefined || ending.endedTime === undefined
        ? {}
        : { runMilliseconds: Math.round(ending.endedTime - ending.startedTime) }),
      reportMilliseconds: Date.now() - noticedTime,
    },
    verdict.verdict === 'again' ? 'launch lost, it is repeated' : 'operation ended',
  );
  await forget(pool, launch);
  return verdict;
}

function outcomeOf(verdict: FinishVerdict): string {
  switch (verdict.verdict) {
    case 'stored':
      return verdict.outcome;
    case 'refused':
      return 'failed';
    case 'again':
      return 'lost';
    case 'over':
      return verdict.outcome ?? 'over';
  }
}

/**
 * Drops what is kept of a run; false when it is still there. A failure after an acknowledged end is left to the reaper:
 * the Operation has ended all the same.
 */
export async function forget(
  pool: PoolWorker,
  { launcher, run }: Pick<HeldLaunch, 'launcher' | 'run'>,
): Promise<boolean> {
  return isDone(pool, run, async () => launcher?.forget(run.key));
}

/** Takes back a start that failed, for it takes up space and the next try may be another worker's. */
export async function abandon(
  pool: PoolWorker,
  { launcher, run }: Pick<HeldLaunch, 'launcher' | 'run'>,
): Promise<boolean> {
  return isDone(pool, run, async () =>
    launcher?.abandon === undefined ? launcher?.forget(run.key) : launcher.abandon(run.key),
  );
}

async function isDone(pool: PoolWorker, run: HeldLaunch['run'], forgetting: () => Promise<void>): Promise<boolean> {
  try {
    await forgetting();
    return true;
  } catch (error) {
    pool.log.warn(
      { err: error, key: run.key, agendaId: run.agendaId, operation: run.operation },
      'an ended run could not be forgotten',
    );
    return false;
  }
}

/**
 * When the content is refused: the same without its log, then the bare fact, for an end must not hang on its trimmings.
 */
async function finishInSomeForm(
  pool: PoolWorker,
  activity: OperationActivity,
  item: FinishOperationItem,
): Promise<FinishVerdict> {
  const { log, ...withoutLog } = item;
  const { result, params, diagnosticEvents, outcome, ending, category, code, ...bare } = withoutLog;
  const forms: ((refusal: ServiceRefused) => FinishOperationItem)[] = [
    ...(log === undefined ? [] : [() => withoutLog]),
    (refusal) => ({
      ...bare,
      ...(outcome === 'cancelled'
        ? { outcome, ending: outcome, ...failureOf('cancelled') }
        : { outcome: 'failed', ending: 'failed', ...failureOf('reportRefused') }),
      diagnosticEvents: fittingEvents([
        {
          code: 'reportRefused',
          message: `Its ending (${outcome}) could not be recorded: ${refusal.message}`,
          time: Date.now(),
        },
      ]),
    }),
  ];
  let form = item;
  for (;;) {
    try {
      return await finish(pool, activity, form);
    } catch (error) {
      const next = forms.shift();
      if (!(error instanceof ServiceRefused && error.isAboutContent) || next === undefined) throw error;
      pool.log.error(
        { err: error, agendaId: item.agendaId, operation: item.operation },
        'the report of an end was refused, a smaller one follows',
      );
      form = next(error);
    }
  }
}

async function finish(
  pool: PoolWorker,
  activity: OperationActivity,
  item: FinishOperationItem,
): Promise<FinishVerdict> {
  try {
    return await pool.client.finishOperation(item, activity.cancellationSignal);
  } catch (error) {
    // Cancelled meanwhile: nobody takes over from a cancelled activity, so it stays until the end is in the record.
    if (!activity.cancellationSignal.aborted || !activity.cancellationDetails?.cancelRequested) throw error;
    return pool.client.finishOperation(
      item,
      AbortSignal.any([pool.shutdown, AbortSignal.timeout(patienceMilliseconds)]),
    );
  }
}

/** The report of an end. */
export function finishItem({ run }: Pick<HeldLaunch, 'run'>, ending: Ending, noticedTime: number): FinishOperationItem {
  const { startedTime, endedTime, log, progress } = ending;
  const events = eventsOf(ending);
  const result = ending.kind === 'succeeded' || ending.kind === 'failed' ? ending.result : undefined;
  return {
    ...fenceOf(run),
    outcome: ending.kind === 'succeeded' || ending.kind === 'cancelled' ? ending.kind : 'failed',
    ending: ending.kind,
    ...(ending.kind === 'succeeded' ? {} : failureOf(codeOf(ending))),
    ...(result === undefined ? {} : { result: JSON.stringify(result) }),
    ...(events.length === 0 ? {} : { diagnosticEvents: fittingEvents(events) }),
    ...(progress?.params === undefined ? {} : { params: progress.params }),
    ...(log === undefined ? {} : { log: { output: log.output, totalBytes: log.totalBytes } }),
    ...(startedTime === undefined ? {} : { startedTime: Math.round(startedTime) }),
    ...(endedTime === undefined ? {} : { endedTime: Math.round(endedTime) }),
    noticedTime,
  };
}

function codeOf(ending: Exclude<Ending, { kind: 'succeeded' }>): FailureCode {
  switch (ending.kind) {
    case 'failed':
    case 'lost':
      return ending.code;
    case 'timedOut':
      return `${ending.limit}Limit`;
    case 'cancelled':
      return 'cancelled';
  }
}

/** What the handler said of itself comes first, then what its launcher says of its end. */
function eventsOf(ending: Ending): readonly DiagnosticEvent[] {
  const own = ending.progress?.diagnosticEvents ?? [];
  const time = ending.endedTime ?? Date.now();
  switch (ending.kind) {
    case 'succeeded':
      return own;
    case 'failed':
    case 'timedOut': {
      const said = new Set(own.map((event) => JSON.stringify(event)));
      return [...own, ...ending.diagnosticEvents.filter((event) => !said.has(JSON.stringify(event)))];
    }
    case 'lost':
      return [...own, { code: ending.code, message: ending.message, time }];
    case 'cancelled':
      return [...own, { code: 'cancelled', message: ending.message, time }];
  }
}

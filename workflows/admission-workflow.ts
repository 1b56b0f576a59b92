/**
 * The admission loop of one Insight: wait for a wake, decide, start, for as long as the Insight lives.
 *
 *   wake, or the time that the last batch named
 *     └▶ tick: admitBatch (one transaction) ─▶ again while there is more, else wait
 *         └▶ beside it: start what was admitted, a few at a time
 *
 * Ticks keep their distance; there is a timer only when time alone can change the answer, and a wake before it makes it
 * void.
 *
 * The two loops take turns with their local activities, so a tick waits for a few starts at most; a long list of starts
 * runs elsewhere. Being the only one is an optimisation: what must hold is in the transaction, and starts may be
 * repeated.
 *
 * The run is handed on (continue-as-new) well before its history grows long; the suggestion does not count signals, so
 * they are counted here. A new run begins with a tick, so it needs nothing of what the one before it waited for.
 *
 * Runs of released versions are open when this changes: what comes in another order than before asks `patched` first.
 */
import {
  condition,
  continueAsNew,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from './activities.ts';
import { admissionDetails } from './admission-details.ts';
import { inTurn } from './in-turn.ts';
import { type AdmissionWorkflowInput, admissionQuery, wakeSignal } from './messages.ts';
import type { QueueView } from './queue-view.ts';

/** Least time between two ticks: wakes that come closer share one. */
const tickMilliseconds = 100;
/** Longest that a batch may have the next one wait; the sweep wakes it in any case. */
const longestMilliseconds = 24 * 3600 * 1000;
/** What is shown may be this old at a tick: it is kept in the history, so not every tick brings it. */
const viewMilliseconds = 2_000;
const mostSignals = 5_000;
const mostEvents = 3_000;
/** Starts in one local activity; more go to a remote one that heartbeats. */
const startsPerStep = 25;

const localSteps = proxyLocalActivities<ControlActivities>({
  startToCloseTimeout: '30 s',
  localRetryThreshold: '5 s',
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '10 s' },
});
const longSteps = proxyActivities<ControlActivities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '30 s',
  retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '10 s' },
});

/** Admits the Agendas of one Insight for as long as the Insight lives. */
export async function admissionWorkflow({ insightId, ticks: earlierTicks = 0 }: AdmissionWorkflowInput): Promise<void> {
  const { runId } = workflowInfo();
  const steps = inTurn<ControlActivities>(localSteps);
  let woken = true;
  let unstarted = true;
  let signals = 0;
  let ticks = 0;
  let admitted = 0;
  let lastTick = 0;
  let done = false;
  /** When time alone calls for the next tick. */
  let againTime: number | undefined;
  let view: QueueView | undefined;
  let viewTime = 0;
  setHandler(wakeSignal, () => {
    woken = true;
    signals++;
  });
  setHandler(admissionQuery, () => ({ insightId, ticks: earlierTicks + ticks, admitted, againTime, view }));
  const enough = () =>
    signals >= mostSignals || workflowInfo().historyLength >= mostEvents || workflowInfo().continueAsNewSuggested;

  const admit = async () => {
    while (!enough()) {
      if (againTime === undefined || woken) await condition(() => woken || enough());
      else
        await condition(() => woken || enough(), Math.max(1, againTime - Date.now()), {
          summary: 'time can change the answer',
        });
      const wait = lastTick + tickMilliseconds - Date.now();
      if (wait > 0) await sleep(wait);
      woken = false;
      const wantsView = Date.now() - viewTime >= viewMilliseconds;
      const answer = await steps.admitBatch({
        insightId,
        batchId: `${runId}:${++ticks}`,
        ...(wantsView ? { view: true } : {}),
      });
      lastTick = Date.now();
      admitted += answer.admitted;
      if (answer.unstarted > 0) unstarted = true;
      if (answer.more) woken = true;
      againTime = answer.againInSeconds === undefined ? undefined : lastTick + againMilliseconds(answer.againInSeconds);
      if (answer.view !== undefined) {
        view = answer.view;
        viewTime = lastTick;
      }
      setCurrentDetails(admissionDetails({ insightId, ticks: earlierTicks + ticks, admitted, againTime, view }));
    }
    done = true;
  };

  const start = async () => {
    for (;;) {
      await condition(() => unstarted || done);
      // What is left to start is left to the next run: admission is not to wait for it.
      if (done) return;
      unstarted = false;
      const { started, remaining } = await steps.startAdmitted({ insightId, most: startsPerStep });
      if (remaining > startsPerStep) {
        // A run that is handed on leaves the activity: it ends at its next heartbeat, and the next run starts the rest.
        const leaves = patched('leave-long-starts');
        const all = longSteps.startAllAdmitted({ insightId });
        await (leaves ? Promise.race([all, condition(() => done)]) : all);
      }
      // When none could be started, the others are tried at the next tick, not at once.
      else if (remaining > 0 && started > 0) unstarted = true;
    }
  };

  await Promise.all([admit(), start()]);
  await continueAsNew<typeof admissionWorkflow>({ insightId, ticks: earlierTicks + ticks });
}

/** Within bounds, whatever the batch answered. */
const againMilliseconds = (seconds: number): number =>
  Math.min(longestMilliseconds, Math.max(tickMilliseconds, Math.ceil(seconds * 1000)));

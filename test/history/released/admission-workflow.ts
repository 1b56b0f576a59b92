/**
 * The admission workflow as version 0.1.0 had it, for `test/upgrade.test.ts`: runs that began with it go on with the one of today.
 * Never edited; it goes when no run of that version can be open any more.
 */
import {
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';

const wakeSignal = defineSignal('wake');

interface AdmissionWorkflowInput {
  readonly insightId: string;
  readonly ticks?: number;
}

interface ControlActivities {
  admitBatch(input: { insightId: string; batchId: string }): Promise<{ admitted: number; more: boolean; unstarted: number }>;
  startAdmitted(input: { insightId: string; most: number }): Promise<{ started: number; remaining: number }>;
  startAllAdmitted(input: { insightId: string }): Promise<{ started: number; remaining: number }>;
}

/** Least time between two ticks: wakes that come closer share one. */
const tickMilliseconds = 100;
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
  setHandler(wakeSignal, () => {
    woken = true;
    signals++;
  });
  const enough = () => signals >= mostSignals || workflowInfo().historyLength >= mostEvents || workflowInfo().continueAsNewSuggested;

  const admit = async () => {
    while (!enough()) {
      await condition(() => woken || enough());
      const wait = lastTick + tickMilliseconds - Date.now();
      if (wait > 0) await sleep(wait);
      woken = false;
      const answer = await steps.admitBatch({ insightId, batchId: `${runId}:${++ticks}` });
      lastTick = Date.now();
      admitted += answer.admitted;
      if (answer.unstarted > 0) unstarted = true;
      if (answer.more) woken = true;
      setCurrentDetails(`${earlierTicks + ticks} ticks; ${admitted} Agendas admitted in this run`);
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
      if (remaining > startsPerStep) await longSteps.startAllAdmitted({ insightId });
      // When none could be started, the others are tried at the next tick, not at once.
      else if (remaining > 0 && started > 0) unstarted = true;
    }
  };

  await Promise.all([admit(), start()]);
  await continueAsNew<typeof admissionWorkflow>({ insightId, ticks: earlierTicks + ticks });
}

type Steps = { readonly [name: string]: (...input: never[]) => Promise<unknown> };

function inTurn<T>(activities: T & Steps): T {
  let last: Promise<unknown> = Promise.resolve();
  const inOrder =
    (step: (...input: never[]) => Promise<unknown>) =>
    (...input: never[]) => {
      const turn = last.then(() => step(...input));
      last = turn.catch(() => undefined);
      return turn;
    };
  return new Proxy(activities, { get: (steps, name) => inOrder(steps[name as string] as Steps[string]) });
}

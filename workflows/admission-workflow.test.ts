import type { WorkflowHandle, WorkflowHandleWithSignaledRunId } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleView } from '../test/support/sample-view.ts';
import { type WorkflowEnvironment, workflowEnvironment } from '../test/support/workflow-environment.ts';
import type { AdmitBatchAnswer as Batch, ControlActivities } from './activities.ts';
import { admissionQuery, wakeSignal } from './messages.ts';
import { admissionWorkflowType, plainNames } from './names.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await workflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

type Steps = Pick<ControlActivities, 'admitBatch' | 'startAdmitted' | 'startAllAdmitted'>;

const nothing: Batch = { admitted: 0, more: false, unstarted: 0 };
let count = 0;

/** Serves an admission workflow whose steps answer from memory, while `body` runs; then ends it. */
async function admission(
  steps: Partial<Steps>,
  body: (handle: WorkflowHandleWithSignaledRunId, batchIds: string[]) => Promise<void>,
  args: { ticks?: number } = {},
) {
  const batchIds: string[] = [];
  const served: Steps = {
    admitBatch: async () => nothing,
    startAdmitted: async () => ({ started: 0, remaining: 0 }),
    startAllAdmitted: async () => ({ started: 0, remaining: 0 }),
    ...steps,
  };
  const admitBatch: Steps['admitBatch'] = async (input) => {
    batchIds.push(input.batchId);
    return served.admitBatch(input);
  };
  await environment.run({ [plainNames.admissionQueue]: { ...served, admitBatch } }, async () => {
    const insightId = `insight-${++count}`;
    const handle = await environment.client.workflow.signalWithStart(admissionWorkflowType, {
      ...{ workflowId: `admission-${insightId}`, taskQueue: plainNames.admissionQueue, args: [{ insightId, ...args }] },
      signal: wakeSignal,
    });
    try {
      await body(handle, batchIds);
    } finally {
      await environment.client.workflow.getHandle(handle.workflowId).terminate();
    }
  });
}

/** Waits until the workflow has done what was asked of it, and answers its history. */
async function idle(handle: WorkflowHandle) {
  await expect
    .poll(
      async () => {
        const { events } = await handle.fetchHistory();
        const tasks = (events ?? []).filter((event) => event.workflowTaskScheduledEventAttributes).length;
        const done = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes).length;
        const timers = (events ?? []).filter((event) => event.timerStartedEventAttributes).length;
        const fired = (events ?? []).filter((event) => event.timerFiredEventAttributes).length;
        return tasks === done && timers === fired && done > 0;
      },
      { timeout: 15_000, interval: 300 },
    )
    .toBe(true);
  return (await handle.fetchHistory()).events ?? [];
}

test('many wakes that come together are few ticks', async () => {
  await admission({}, async (handle, batchIds) => {
    await Promise.all(Array.from({ length: 40 }, () => handle.signal(wakeSignal)));
    await idle(handle);
    expect(batchIds.length).toBeGreaterThanOrEqual(1);
    expect(batchIds.length).toBeLessThanOrEqual(12);
    expect(batchIds).toEqual(batchIds.map((_, n) => `${batchIds[0]?.split(':')[0]}:${n + 1}`));
  });
});

test('a full batch is followed by another, and ticks keep a tenth of a second between them', async () => {
  const answers: Batch[] = [1, 2, 3].map(() => ({ admitted: 500, more: true, unstarted: 0 }));
  await admission({ admitBatch: async () => answers.shift() ?? nothing }, async (handle, batchIds) => {
    await expect.poll(() => batchIds.length, { timeout: 15_000 }).toBe(4);
    const events = await idle(handle);
    expect(batchIds).toHaveLength(4);
    expect(events.filter((event) => event.timerStartedEventAttributes)).toHaveLength(3);
  });
});

test('without a wake there is no tick and no timer', async () => {
  await admission({}, async (handle, batchIds) => {
    const events = await idle(handle);
    expect(batchIds).toHaveLength(1);
    expect(events.some((event) => event.timerStartedEventAttributes)).toBe(false);
  });
});

test('when the batch names a time, a tick comes then without a wake, once', async () => {
  const answers: Batch[] = [{ ...nothing, againInSeconds: 0.4 }];
  await admission({ admitBatch: async () => answers.shift() ?? nothing }, async (handle, batchIds) => {
    await expect.poll(() => batchIds.length, { timeout: 15_000 }).toBe(2);
    const events = await idle(handle);
    expect(batchIds).toHaveLength(2);
    const seconds = events.flatMap(({ timerStartedEventAttributes: timer }) =>
      timer?.startToFireTimeout == null
        ? []
        : [Number(timer.startToFireTimeout.seconds) + Number(timer.startToFireTimeout.nanos) / 1e9],
    );
    expect(seconds).toHaveLength(1);
    expect(seconds[0]).toBeGreaterThan(0.2);
    expect(seconds[0]).toBeLessThanOrEqual(0.4);
  });
});

test('a wake before the time that the batch named makes its timer void', async () => {
  const answers: Batch[] = [{ ...nothing, againInSeconds: 1e9 }];
  await admission({ admitBatch: async () => answers.shift() ?? nothing }, async (handle, batchIds) => {
    await expect.poll(() => batchIds.length, { timeout: 15_000 }).toBe(1);
    await expect.poll(async () => (await handle.query(admissionQuery)).againTime, { timeout: 15_000 }).toBeDefined();
    await handle.signal(wakeSignal);
    await expect.poll(() => batchIds.length, { timeout: 15_000 }).toBe(2);
    const ofTimers = async () => {
      const { events } = await handle.fetchHistory();
      const started = events?.flatMap((event) => event.timerStartedEventAttributes ?? []) ?? [];
      const cancelled = events?.filter((event) => event.timerCanceledEventAttributes).length;
      return { days: started.map(({ startToFireTimeout }) => Number(startToFireTimeout?.seconds) / 86_400), cancelled };
    };
    // No longer than a day, whatever the batch says.
    await expect.poll(ofTimers, { timeout: 15_000 }).toMatchObject({ cancelled: 1 });
    const { days } = await ofTimers();
    expect(Math.max(...days)).toBeLessThanOrEqual(1);
    expect((await handle.query(admissionQuery)).againTime).toBeUndefined();
  });
});

test('a time that is over at once does not make ticks come closer', async () => {
  const answers: Batch[] = [1, 2, 3].map(() => ({ ...nothing, againInSeconds: 0 }));
  await admission({ admitBatch: async () => answers.shift() ?? nothing }, async (handle, batchIds) => {
    await expect.poll(() => batchIds.length, { timeout: 15_000 }).toBe(4);
    const events = await idle(handle);
    expect(events.filter((event) => event.timerStartedEventAttributes).length).toBeGreaterThanOrEqual(3);
  });
});

test('shows the queue to queries and in the current details, and asks for it every few ticks only', async () => {
  const asked: boolean[] = [];
  const answers: Batch[] = [1, 2, 3].map(() => ({ admitted: 500, more: true, unstarted: 0 }));
  const admitBatch: Steps['admitBatch'] = async ({ view = false }) => {
    asked.push(view);
    return { ...(answers.shift() ?? nothing), ...(view ? { view: sampleView } : {}) };
  };
  await admission({ admitBatch }, async (handle) => {
    await idle(handle);
    expect(asked).toEqual([true, false, false, false]);
    expect(await handle.query(admissionQuery)).toMatchObject({ ticks: 4, admitted: 1_500, view: sampleView });
    const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    expect(currentDetails).toContain('| waiting | 10000+, the oldest for 81.5 s |');
    expect(currentDetails).toContain('| red | 3 | 75 % | 74.2 % | 5 | 1000+ | 12.25 |');
    expect(currentDetails).toContain('| 12 | 0197f3c2 | red | share | 60 |');
  });
});

test('a run that is handed on leaves a long list of starts to the next one, and carries next to nothing', async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  let long = 0;
  const steps: Partial<Steps> = {
    admitBatch: async ({ view }) => ({
      ...nothing,
      unstarted: 100,
      againInSeconds: 3_600,
      ...(view === true ? { view: sampleView } : {}),
    }),
    startAdmitted: async () => ({ started: 25, remaining: 75 }),
    startAllAdmitted: async () => {
      if (++long === 1) await held;
      return { started: 75, remaining: 0 };
    },
  };
  await admission(steps, async (handle, batchIds) => {
    const firstRun = handle.signaledRunId ?? '';
    await expect.poll(() => long, { timeout: 15_000 }).toBe(1);
    for (let sent = 0; sent < 5_000; sent += 250)
      await Promise.all(Array.from({ length: 250 }, () => handle.signal(wakeSignal)));
    await expect.poll(() => batchIds.some((id) => !id.startsWith(firstRun)), { timeout: 30_000 }).toBe(true);
    await expect.poll(() => long, { timeout: 15_000 }).toBeGreaterThan(1);
    release();
    const { events } = await environment.client.workflow.getHandle(handle.workflowId, firstRun).fetchHistory();
    const carried = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.input?.payloads ?? [];
    expect(carried.reduce((bytes, payload) => bytes + (payload.data?.length ?? 0), 0)).toBeLessThan(1_024);
  });
}, 60_000);

test('starts go on beside admission, a few at a time', async () => {
  let unstarted = 60;
  const portions: number[] = [];
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const startAdmitted: Steps['startAdmitted'] = async ({ most }) => {
    portions.push(most);
    // Held until a tick went by.
    if (portions.length === 2) await held;
    const started = Math.min(most, unstarted, 10);
    unstarted -= started;
    return { started, remaining: Math.min(unstarted, 20) };
  };
  await admission({ startAdmitted, admitBatch: async () => ({ ...nothing, unstarted }) }, async (handle, batchIds) => {
    await expect.poll(() => portions.length, { timeout: 15_000 }).toBe(2);
    const before = batchIds.length;
    await handle.signal(wakeSignal);
    // The second portion still stands; a local activity holds the task, so the wake is served within it or right after.
    release();
    await expect.poll(() => batchIds.length, { timeout: 15_000 }).toBeGreaterThan(before);
    await expect.poll(() => unstarted, { timeout: 15_000 }).toBe(0);
    expect(new Set(portions)).toEqual(new Set([25]));
    await idle(handle);
  });
});

test('a long list of starts goes to an activity that heartbeats', async () => {
  let all = 0;
  const startAllAdmitted: Steps['startAllAdmitted'] = async () => {
    all++;
    return { started: 475, remaining: 0 };
  };
  let first = true;
  const startAdmitted: Steps['startAdmitted'] = async () => {
    const remaining = first ? 475 : 0;
    first = false;
    return { started: 25, remaining };
  };
  await admission({ startAdmitted, startAllAdmitted }, async (handle) => {
    await expect.poll(() => all, { timeout: 15_000 }).toBe(1);
    const events = await idle(handle);
    expect(events.filter((event) => event.activityTaskScheduledEventAttributes)).toHaveLength(1);
  });
});

test('what cannot be started is tried at the next tick, not in a circle', async () => {
  let tries = 0;
  const startAdmitted: Steps['startAdmitted'] = async () => {
    tries++;
    return { started: 0, remaining: 5 };
  };
  await admission({ startAdmitted, admitBatch: async () => ({ ...nothing, unstarted: 5 }) }, async (handle) => {
    await idle(handle);
    const before = tries;
    expect(before).toBeLessThanOrEqual(2);
    await handle.signal(wakeSignal);
    await expect.poll(() => tries, { timeout: 15_000 }).toBe(before + 1);
    await idle(handle);
    expect(tries).toBe(before + 1);
  });
});

test('after 5,000 signals a new run goes on, with its ticks counted on', async () => {
  await admission(
    {},
    async (handle, batchIds) => {
      const firstRun = handle.signaledRunId ?? '';
      for (let sent = 0; sent < 5_000; sent += 250)
        await Promise.all(Array.from({ length: 250 }, () => handle.signal(wakeSignal)));
      await expect.poll(() => batchIds.some((id) => !id.startsWith(firstRun)), { timeout: 30_000 }).toBe(true);
      // Once each: a task that ended the run is done again when a signal came meanwhile, its batch under the same id.
      const ticksOfFirst = new Set(batchIds.filter((id) => id.startsWith(firstRun))).size;
      const { events } = await environment.client.workflow.getHandle(handle.workflowId, firstRun).fetchHistory();
      const carried = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.input?.payloads?.[0];
      expect(JSON.parse(Buffer.from(carried?.data ?? []).toString())).toMatchObject({ ticks: 7 + ticksOfFirst });
    },
    { ticks: 7 },
  );
}, 60_000);

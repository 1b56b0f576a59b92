import type { WorkflowHandle, WorkflowHandleWithSignaledRunId } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type WorkflowEnvironment, workflowEnvironment } from '../test/support/workflow-environment.ts';
import { admissionTaskQueue, admissionWorkflowType, type ControlActivities, wakeSignal } from './messages.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await workflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

type Steps = Pick<ControlActivities, 'admitBatch' | 'startAdmitted' | 'startAllAdmitted'>;
type Batch = Awaited<ReturnType<Steps['admitBatch']>>;

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
  await environment.run({ [admissionTaskQueue]: { ...served, admitBatch } }, async () => {
    const insightId = `insight-${++count}`;
    const handle = await environment.client.workflow.signalWithStart(admissionWorkflowType, {
      ...{ workflowId: `admission-${insightId}`, taskQueue: admissionTaskQueue, args: [{ insightId, ...args }] },
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
      for (let sent = 0; sent < 5_000; sent += 250) await Promise.all(Array.from({ length: 250 }, () => handle.signal(wakeSignal)));
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

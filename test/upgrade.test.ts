import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ControlActivities } from '../workflows/activities.ts';
import { admissionQuery, wakeSignal } from '../workflows/messages.ts';
import { admissionWorkflowType, plainNames } from '../workflows/names.ts';
import { sampleView } from './support/sample-view.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from './support/workflow-environment.ts';

/** Its workflows are those of version 0.1.0. */
const released = fileURLToPath(new URL('history/released/admission-workflow.ts', import.meta.url));

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await realWorkflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

type Steps = Pick<ControlActivities, 'admitBatch' | 'startAdmitted' | 'startAllAdmitted'>;

test('an admission workflow of version 0.1.0 goes on today, with a list of starts under way', async () => {
  const batchIds: string[] = [];
  let longStarts = 0;
  const before: Steps = {
    admitBatch: async ({ batchId }) => {
      batchIds.push(batchId);
      return { admitted: 100, more: batchIds.length === 1, unstarted: 100 };
    },
    startAdmitted: async () => ({ started: 25, remaining: 75 }),
    startAllAdmitted: async () => {
      longStarts++;
      throw new Error('the old worker goes away');
    },
  };
  let unstarted = 100;
  const after: Steps = {
    admitBatch: async ({ batchId, view }) => {
      batchIds.push(batchId);
      const again = batchIds.length === 3 ? { againInSeconds: 0.2 } : {};
      return { admitted: 0, more: false, unstarted, ...again, ...(view === true ? { view: sampleView } : {}) };
    },
    startAdmitted: async ({ most }) => {
      const started = Math.min(most, unstarted);
      unstarted -= started;
      return { started, remaining: unstarted };
    },
    startAllAdmitted: async () => {
      unstarted = 0;
      return { started: 75, remaining: 0 };
    },
  };
  const start = () =>
    environment.client.workflow.signalWithStart(admissionWorkflowType, {
      ...{
        workflowId: 'admission-upgraded',
        taskQueue: plainNames.admissionQueue,
        args: [{ insightId: 'upgraded' }],
        signal: wakeSignal,
      },
    });
  const { signaledRunId } = await environment.run(
    { [plainNames.admissionQueue]: before },
    async () => {
      const handle = await start();
      await expect.poll(() => [batchIds.length, longStarts], { timeout: 15_000 }).toEqual([2, 1]);
      return handle;
    },
    { workflowsPath: released },
  );
  await environment.run({ [plainNames.admissionQueue]: after }, async () => {
    const handle = await start();
    expect(handle.signaledRunId).toBe(signaledRunId);
    // One by the wake, one by the time that the batch named.
    await expect.poll(() => batchIds.length, { timeout: 15_000 }).toBe(4);
    expect(batchIds).toEqual([1, 2, 3, 4].map((tick) => `${signaledRunId}:${tick}`));
    await expect.poll(() => unstarted, { timeout: 15_000 }).toBe(0);
    expect(await handle.query(admissionQuery)).toMatchObject({
      insightId: 'upgraded',
      ticks: 4,
      admitted: 200,
      view: sampleView,
    });
    const { events } = await handle.fetchHistory();
    expect(events?.filter((event) => event.workflowTaskFailedEventAttributes)).toEqual([]);
    await handle.terminate();
  });
}, 60_000);

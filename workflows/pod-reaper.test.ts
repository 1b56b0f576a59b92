import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { PodReapAnswer, PodReapOrder } from '../messages/pod-reaping.ts';
import { keepPodReaperSchedule } from '../temporal/pod-reaper-schedule.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import type { PodReaperInput } from './messages.ts';
import { plainNames } from './names.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await realWorkflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

const order: PodReapOrder = { olderThanSeconds: 60, mostKept: 10, batch: 50, mostSeconds: 300, logOnly: false };
const inputOf = (more: Partial<PodReapOrder> = {}): PodReaperInput => ({
  ...order,
  ...more,
  poolQueue: plainNames.poolQueue('media'),
});

test('the Schedule of a pool starts rounds on its queue, by the settings of the worker that started last', async () => {
  const rounds: PodReapOrder[] = [];
  const reapPods = async (given: PodReapOrder): Promise<PodReapAnswer> => {
    rounds.push(given);
    return { pods: 3, namespaces: 0, kept: 1, complete: true };
  };
  const { client } = environment;
  await environment.run({ [plainNames.controlQueue]: {}, [plainNames.poolQueue('media')]: { reapPods } }, async () => {
    await keepPodReaperSchedule(client, 'media', { everySeconds: 3_600, input: inputOf() });
    const schedule = client.schedule.getHandle(plainNames.podReaperSchedule('media'));
    await schedule.trigger();
    await vi.waitFor(() => expect(rounds).toEqual([order]), { timeout: 20_000 });
    await schedule.pause('while somebody looks');
    await keepPodReaperSchedule(client, 'media', { everySeconds: 60, input: inputOf({ logOnly: true }) });
    const { state, spec } = await schedule.describe();
    expect(state.paused).toBe(true);
    expect(spec.intervals?.[0]?.every).toBe(60_000);
    await schedule.trigger();
    await vi.waitFor(() => expect(rounds[1]).toEqual({ ...order, logOnly: true }), { timeout: 20_000 });
    await schedule.delete();
  });
});

import { describe, expect, test } from 'vitest';
import { annotations } from './names.ts';
import type { ContainerStatus, Pod, PodStatus } from './pod.ts';
import { isOver, stateOf } from './pod-state.ts';

const created = '2026-01-01T00:00:00Z';
const at = (seconds: number): string => new Date(Date.parse(created) + seconds * 1_000).toISOString();
const time = (seconds: number): number => Date.parse(at(seconds));

const podOf = (status: PodStatus = {}, metadata: Partial<Pod['metadata']> = {}, nodeName?: string): Pod => ({
  metadata: {
    ...{ name: 'op-1', namespace: 'media', uid: 'uid-1', resourceVersion: '1', creationTimestamp: created },
    ...metadata,
  },
  ...(nodeName !== undefined && { spec: { nodeName } }),
  status,
});

const handler = (state: ContainerStatus['state'] = {}): PodStatus => ({
  phase: 'Running',
  containerStatuses: [
    { name: 'sidecar', state: { running: { startedAt: at(1) } } },
    { name: 'handler', state },
  ],
});
const runs = handler({ running: { startedAt: at(2) } });
const waits = (reason: string, message?: string): ContainerStatus['state'] => ({
  waiting: { reason, ...(message !== undefined && { message }) },
});
const ended = (more: object = {}): PodStatus =>
  handler({ terminated: { exitCode: 0, startedAt: at(2), finishedAt: at(10), ...more } });
const disrupted = (reason: string, message?: string): PodStatus => ({
  conditions: [{ type: 'DisruptionTarget', status: 'True', reason, ...(message !== undefined && { message }) }],
});
/** Told to end at that second, with 30 s of grace, which Kubernetes adds to the time. */
const deletedAt = (seconds: number) => ({ deletionTimestamp: at(seconds + 30), deletionGracePeriodSeconds: 30 });
const stopped = { annotations: { [annotations.stop]: '{"reason":"cancelled","graceSeconds":1}' } };

describe('a Pod that has not started', () => {
  test('waits since it was made', () => {
    expect(stateOf(podOf())).toEqual({ kind: 'waiting', since: time(0) });
    const { status: _, ...fresh } = podOf();
    expect(stateOf(fresh)).toEqual({ kind: 'waiting', since: time(0) });
    expect(stateOf(podOf(handler(waits('ContainerCreating'))))).toEqual({ kind: 'waiting', since: time(0) });
  });

  test('says the words of the scheduler', () => {
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable' };
    const words = (more: object) => {
      const state = stateOf(podOf({ phase: 'Pending', conditions: [{ ...condition, ...more }] }));
      return state.kind === 'waiting' ? state.cause : undefined;
    };
    expect(words({ message: '0/3 nodes are available' })).toEqual({
      words: 'The Pod cannot be scheduled: 0/3 nodes are available',
    });
    expect(words({})).toEqual({ words: 'The Pod cannot be scheduled: Unschedulable' });
    expect(words({ status: 'True' })).toBeUndefined();
  });

  test.each([
    ['ErrImagePull', 'imageUnavailable'],
    ['ImagePullBackOff', 'imageUnavailable'],
    ['ErrImageNeverPull', 'imageUnavailable'],
    ['InvalidImageName', 'imageUnavailable'],
    ['ImageInspectError', 'imageUnavailable'],
    ['RegistryUnavailable', 'imageUnavailable'],
    ['CreateContainerConfigError', 'containerNotStarted'],
    ['CreateContainerError', 'containerNotStarted'],
    ['RunContainerError', 'containerNotStarted'],
    ['CrashLoopBackOff', 'containerNotStarted'],
  ])('for %s, which waiting hardly mends, is %s in the end', (reason, code) => {
    expect(stateOf(podOf(handler(waits(reason, 'in its words'))))).toEqual({
      kind: 'waiting',
      since: time(0),
      cause: { words: `The container waits: ${reason}: in its words`, code },
    });
  });

  test('for an init container that somebody put into it, says which', () => {
    const initContainerStatuses = [
      { name: 'done', state: { terminated: { exitCode: 0 } } },
      { name: 'fetch', state: waits('ImagePullBackOff') ?? {} },
    ];
    expect(stateOf(podOf({ ...handler(waits('PodInitializing')), initContainerStatuses }))).toMatchObject({
      kind: 'waiting',
      cause: { words: 'The container fetch waits: ImagePullBackOff', code: 'imageUnavailable' },
    });
  });
});

describe('a Pod whose handler', () => {
  test('runs, runs since its container started, whatever others in it do', () => {
    expect(stateOf(podOf(runs))).toEqual({ kind: 'running', startedTime: time(2) });
  });

  test('came to an end has ended, though the phase lags behind and a sidecar runs on', () => {
    expect(stateOf(podOf(ended({ exitCode: 3 })))).toMatchObject({ kind: 'ended', terminated: { exitCode: 3 } });
    expect(stateOf(podOf(ended()))).not.toHaveProperty('disruption');
  });

  test('is unknown to the kubelet is lost', () => {
    const gone = (more: object = {}) => ended({ exitCode: 137, reason: 'ContainerStatusUnknown', ...more });
    expect(stateOf(podOf(gone({ message: 'not found' })))).toEqual({
      kind: 'taken',
      disruption: { code: 'lost', message: 'not found' },
    });
    expect(stateOf(podOf(gone()))).toMatchObject({ kind: 'taken', disruption: { code: 'lost' } });
    const evicted = { ...gone(), reason: 'Evicted', message: 'The node was low on resource: memory.' };
    expect(stateOf(podOf(evicted))).toMatchObject({ disruption: { code: 'evicted' } });
  });
});

describe('a Pod that the infrastructure takes away', () => {
  test.each([
    ['PreemptionByScheduler', 'preempting to accommodate a higher priority pod', 'preempted'],
    ['DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint', 'nodeLost'],
    ['DeletionByPodGC', 'PodGC: node no longer exists', 'nodeLost'],
    ['EvictionByEvictionAPI', 'Eviction API: evicting', 'drained'],
    ['TerminationByKubelet', 'Pod was terminated in response to imminent node shutdown.', 'drained'],
    ['TerminationByKubelet', 'The node was low on resource: ephemeral-storage.', 'evicted'],
    ['TerminationByKubelet', 'Preempted in order to admit critical pod', 'preempted'],
    ['SomethingOfALaterVersion', 'in its words', 'drained'],
  ])('as %s ("%s") is %s', (reason, message, code) => {
    const taken = { kind: 'taken', disruption: { code, message } };
    // While it is deleted, and once it has failed, with or without containers.
    expect(stateOf(podOf({ ...runs, ...disrupted(reason, message) }, deletedAt(5)))).toEqual(taken);
    expect(stateOf(podOf({ phase: 'Failed', ...disrupted(reason, message) }))).toEqual(taken);
    // A handler that heeds SIGTERM has an end; it is told with it.
    expect(stateOf(podOf({ ...ended(), ...disrupted(reason, message) }, deletedAt(5)))).toMatchObject({
      kind: 'ended',
      disruption: { code },
    });
  });

  test('is not taken yet while it is only marked for it', () => {
    expect(stateOf(podOf({ ...runs, ...disrupted('PreemptionByScheduler') }))).toMatchObject({ kind: 'running' });
    const unmarked = { conditions: [{ type: 'DisruptionTarget', status: 'False', reason: 'EvictionByEvictionAPI' }] };
    expect(stateOf(podOf({ ...runs, ...unmarked }))).toMatchObject({ kind: 'running' });
  });

  test('without a message says the reason', () => {
    expect(stateOf(podOf(disrupted('PreemptionByScheduler'), deletedAt(5)))).toMatchObject({
      disruption: { code: 'preempted', message: 'The Pod was disrupted: PreemptionByScheduler.' },
    });
  });

  test.each([
    [{ reason: 'NodeShutdown', message: 'Pod was rejected as the node is shutting down.' }, 'drained'],
    [{ reason: 'Terminated' }, 'drained'],
    [{ reason: 'OutOfcpu', message: 'Node didn’t have enough resource: cpu' }, 'lost'],
    [{ reason: 'NodeAffinity' }, 'lost'],
    [{}, 'lost'],
    [{ reason: 'Evicted', message: 'The node had condition: [DiskPressure].' }, 'evicted'],
  ])('and that failed without its container, %j, is %s', (status, code) => {
    expect(stateOf(podOf({ phase: 'Failed', ...status }))).toMatchObject({ kind: 'taken', disruption: { code } });
  });
});

describe('a Pod that somebody deletes', () => {
  test('before or while it runs, is taken', () => {
    const taken = { kind: 'taken', disruption: { code: 'deleted' } };
    expect(stateOf(podOf({}, deletedAt(5)))).toMatchObject(taken);
    expect(stateOf(podOf(runs, deletedAt(5)))).toMatchObject(taken);
  });

  test('and that ends then, did not come to that end by itself', () => {
    // Ended at 10.
    expect(stateOf(podOf(ended(), deletedAt(9)))).toMatchObject({ disruption: { code: 'deleted' } });
    // Within the same second nobody can tell.
    expect(stateOf(podOf(ended(), deletedAt(10)))).toMatchObject({ disruption: { code: 'deleted' } });
    expect(stateOf(podOf(ended({ finishedAt: undefined }), deletedAt(20)))).toMatchObject({
      disruption: { code: 'deleted' },
    });
  });

  test('after it ended, has ended', () => {
    expect(stateOf(podOf(ended(), deletedAt(11)))).not.toHaveProperty('disruption');
  });

  test('by our order is not taken', () => {
    expect(stateOf(podOf(runs, { ...deletedAt(5), ...stopped }))).toEqual({ kind: 'running', startedTime: time(2) });
    expect(stateOf(podOf(ended({ exitCode: 143 }), { ...deletedAt(5), ...stopped }))).not.toHaveProperty('disruption');
    const evicted = { ...ended(), ...disrupted('EvictionByEvictionAPI') };
    expect(stateOf(podOf(evicted, { ...deletedAt(5), ...stopped }))).not.toHaveProperty('disruption');
  });
});

test.each<[string, Pod, number, boolean]>([
  ['waits', podOf({ phase: 'Pending' }, {}, 'node-1'), 5, false],
  ['runs', podOf(runs, {}, 'node-1'), 5, false],
  ['has ended', podOf(ended(), {}, 'node-1'), 15, true],
  ['has the phase Failed', podOf({ phase: 'Failed' }, {}, 'node-1'), 5, true],
  ['has the phase Succeeded', podOf({ phase: 'Succeeded' }, {}, 'node-1'), 5, true],
  ['is deleted and was on no node', podOf({}, deletedAt(5)), 6, true],
  ['is deleted and runs within its grace', podOf(runs, deletedAt(5), 'node-1'), 20, false],
  ['is deleted and still runs after its grace', podOf(runs, deletedAt(5), 'node-1'), 50, false],
  ['is deleted, has not begun, and is within its grace', podOf({}, deletedAt(5), 'node-1'), 20, false],
  ['is deleted, has not begun, and is after its grace', podOf({}, deletedAt(5), 'node-1'), 36, true],
])('of a Pod that %s', (_, pod, now, over) => {
  expect(isOver(pod, time(now))).toBe(over);
});

/** Containers that others put beside the handler's. */
import { CoreV1Api, type V1Container } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { injected } from './admission-webhook.ts';
import { clientConfig } from './cluster/facts.ts';
import { busyboxImage } from './images.ts';
import { heard, podLauncher, podRun } from './pod-launcher.ts';
import { PodPool } from './pod-pool.ts';
import { realNodeTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const core = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const shell = (script: string) => ({
  ...{ runAsUser: 1000, cpuMinRequestCount: '10m', imageName: busyboxImage, command: ['sh', '-c', script] },
});
const sidecar: V1Container = {
  name: 'sidecar',
  image: busyboxImage,
  // It hears SIGTERM, unlike many.
  command: ['sh', '-c', 'trap "exit 0" TERM; echo of the sidecar; while :; do sleep 0.1; done'],
};

describe('argo 7214: a sidecar that a webhook injects and that never ends', () => {
  realNodeTest('the Operation ends with its handler, result and log are the handler’s, and the Pod goes', async () => {
    await using namespace = await testNamespace('real');
    await using _ = await injected(namespace.name, sidecar);
    const script = 'echo of the handler; sleep 2; printf 5 > "$POP_RESULT_FILE"';
    await using pool = await PodPool.open(namespace.name, shell(script));
    const key = await pool.admit();
    const activity = (await pool.worker()).run(key);
    activity.ended.catch(() => undefined);
    const pod = await pool.pod('Pod with both', ({ spec }) => spec?.containers.length === 2);
    expect(pod.spec?.containers[0]?.name).toBe('sidecar');
    await activity.ended;
    expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', result: '5', launch: 1 });
    expect(await pool.service.logs(key.agendaId)).toEqual(['of the handler\n']);
    await until('no Pod', async () => (await pool.pods()).length === 0 || undefined);
  });

  realNodeTest('a Pod that would be kept to be looked at goes, too, for it would never end', async () => {
    await using namespace = await testNamespace('real');
    await using _ = await injected(namespace.name, sidecar);
    using launcher = await podLauncher(namespace.name);
    const run = podRun({ ...shell('echo done'), reapCompletedPods: false });
    await launcher.start(run);
    expect(await launcher.follow(run, heard(), new AbortController().signal)).toMatchObject({ kind: 'succeeded' });
    await launcher.forget(run.key);
    await until('no Pod', async () => {
      const { items } = await core().listNamespacedPod({ namespace: namespace.name });
      return items.length === 0 || undefined;
    });
  });

  realNodeTest(
    'one that a worker acknowledged and did not delete any more is reaped, its sidecar with it',
    async () => {
      await using namespace = await testNamespace('real');
      await using _ = await injected(namespace.name, sidecar);
      using launcher = await podLauncher(namespace.name);
      const run = podRun(shell('echo done'));
      await launcher.start(run);
      await launcher.follow(run, heard(), new AbortController().signal);
      const name = { namespace: namespace.name, name: run.key };
      // As far as a worker came that died then.
      const done = [
        { op: 'add', path: '/metadata/labels/pop.done', value: 'true' },
        { op: 'remove', path: '/metadata/finalizers' },
      ];
      await core().patchNamespacedPod({ ...name, body: done });
      const gentle = { olderThanSeconds: 3_600, mostKept: 100, batch: 10, mostSeconds: 60, logOnly: false };
      expect(await launcher.reap(gentle, () => undefined)).toMatchObject({ pods: 1, kept: 0 });
      await until('no Pod', async () => {
        const { items } = await core().listNamespacedPod({ namespace: namespace.name });
        return items.length === 0 || undefined;
      });
    },
  );
});

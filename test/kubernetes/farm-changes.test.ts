/** A pool of Pods as its owner changes it: the registry edited, namespaces of Customers, ended Pods reaped. */
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CoreV1Api, NetworkingV1Api, type V1Pod } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import { plainNames } from '../../workflows/names.ts';
import { clientConfig } from './cluster/facts.ts';
import { Farm, type FarmPool, isRunning, removeFinalizers } from './farm.ts';
import { onPaper } from './pod-launcher.ts';
import { clusterTest, hasCluster, until } from './shared-cluster.ts';

let farm: Farm;
beforeAll(async () => {
  if (hasCluster) farm = await Farm.start();
});
afterAll(() => farm?.[Symbol.asyncDispose]());

const type = (podConfig: object) => ({ podConfig });
const succeeds = type(onPaper({ message: '"done"' }));
const holds = type({ ...onPaper({ 'run-for': 'never' }), graceSeconds: 1 });

interface ToldWorker {
  readonly registryDigest: string;
  readonly registryProblem?: string;
}
const workers = async (pool: FarmPool) =>
  (await farm.request<{ all: ToldWorker[] }>('GET', `/resourcepool/${pool.id}/workers`)).all;

describe('the registry', () => {
  /** As the kubelet mounts a ConfigMap: a link to a link to a folder, the second swapped by a rename. */
  async function publish(folder: string, version: number, text: string): Promise<void> {
    const data = join(folder, `..${version}`);
    await mkdir(data, { recursive: true });
    await writeFile(join(data, 'registry.json'), text);
    const fresh = join(folder, '..data_tmp');
    await symlink(data, fresh);
    await rename(fresh, join(folder, '..data'));
  }
  const textOf = (imageName: string) =>
    JSON.stringify({ basePodConfig: { imageName, cpuMinRequestCount: '10m' }, holds });

  clusterTest('an edit is that of the next Pod; a broken one leaves the last good one, and is shown', async () => {
    await using pool = await farm.pool({});
    const folder = join(dirname(pool.registry), 'config');
    await publish(folder, 1, textOf('registry.test/old'));
    await symlink(join('..data', 'registry.json'), join(folder, 'registry.json'));
    await using _worker = await pool.worker({}, { args: { registry: join(folder, 'registry.json') } });
    const images = async (count: number) =>
      (await pool.untilPods(count, isRunning)).map(({ spec }) => spec?.containers[0]?.image).toSorted();
    await pool.submit([{ name: 'a', type: 'holds' }]);
    expect(await images(1)).toEqual(['registry.test/old']);
    await publish(folder, 2, textOf('registry.test/new'));
    await pool.submit([{ name: 'a', type: 'holds' }]);
    expect(await images(2)).toEqual(['registry.test/new', 'registry.test/old']);
    await publish(folder, 3, textOf('registry.test/broken').replace('"imageName"', '"imageNmae"'));
    const problem = await until('the problem on the pool', async () => (await workers(pool))[0]?.registryProblem);
    expect(problem).toMatch(/registry\.json:1 \/basePodConfig\/imageNmae: unknown field/);
    await pool.submit([{ name: 'a', type: 'holds' }]);
    expect(await images(3)).toEqual(['registry.test/new', 'registry.test/new', 'registry.test/old']);
    await publish(folder, 4, textOf('registry.test/mended'));
    await until('no problem', async () => (await workers(pool))[0]?.registryProblem === undefined || undefined);
    await pool.cancelAll();
  });
});

describe('payloads', () => {
  const [parts, bytes] = [200, 8 * 1024];
  /** As many as one payload can hold. */
  const fitting = Math.floor((maximumPayloadBytes - 2) / (bytes + 1));
  const result = 'p'.repeat(bytes - 2);
  const part = type({ podTemplate: { metadata: { annotations: { 'pop.report.payload': JSON.stringify(result) } } } });
  const ofFirst = (count: number) => Array.from({ length: count }, (_, n) => `@<p${n}.out::/>`);

  clusterTest(
    'a fan-in of results of 8 KiB comes as a file up to the limit; 200 are refused, with both sizes',
    async () => {
      const slow = type(onPaper({ 'run-for': '15s' }));
      await using pool = await farm.pool({ part, slow, succeeds });
      await using _worker = await pool.worker();
      const agenda = await pool.submit([
        ...Array.from({ length: parts }, (_, n) => ({ name: `p${n}`, type: 'part' })),
        { name: 'most', type: 'slow', payload: ofFirst(fitting) },
        { name: 'all', type: 'succeeds', payload: ofFirst(parts), dependsOn: ['most'] },
      ]);
      const isMost = (pod: V1Pod) => isRunning(pod) && pod.metadata?.labels?.['pop.operation'] === 'most';
      const [pod] = await pool.untilPods(1, isMost, 150);
      const file = await pool.secretFile(`${pod?.metadata?.name}-payload`, 'payload.json');
      expect(Buffer.byteLength(file)).toBeGreaterThan(maximumPayloadBytes - bytes);
      expect(JSON.parse(file)).toEqual(Array.from({ length: fitting }, () => result));
      const last = (await pool.ended(agenda)).operationProgress.at(-1);
      expect(last).toMatchObject({
        ...{ operation: 'all', processingStateMessage: 'failed' },
        ...{ failureCategory: 'data', failureCode: 'payloadTooLarge' },
        diagnosticEvents: [{ message: expect.stringContaining(`the limit is ${maximumPayloadBytes}`) }],
      });
      await pool.untilPods(0);
    },
  );
});

const template = `
kind: Namespace
metadata:
  labels: { team: media }
  annotations: { scheduler.alpha.kubernetes.io/node-selector: pop.test/nodes=kwok, of: "{customer}" }
---
apiVersion: v1
kind: ResourceQuota
metadata: { name: pop }
spec: { hard: { pods: "1" } }
---
apiVersion: v1
kind: LimitRange
metadata: { name: pop }
spec: { limits: [{ type: Container, max: { cpu: "4" } }] }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: pop-service, annotations: { of: "{customer} in {namespace}" } }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: outbound-only }
spec: { podSelector: {}, policyTypes: [Ingress] }
`;

describe('a namespace for each Customer', () => {
  const types = {
    holds: type({ ...onPaper({ 'run-for': 'never' }), graceSeconds: 1, namespace: 'pop-{customer}' }),
    succeeds: type({ ...onPaper({ message: '"done"' }), namespace: 'pop-{customer}' }),
  };
  const core = (pool: FarmPool) => clientConfig(pool.facts).makeApiClient(CoreV1Api);
  const namespacesOf = async (pool: FarmPool, customer: string) =>
    (await core(pool).listNamespace({ labelSelector: `pop.customer=${customer}` })).items.filter(
      ({ metadata }) => metadata?.deletionTimestamp === undefined,
    );
  const removal = (pool: FarmPool, ...customers: string[]) => ({
    async [Symbol.asyncDispose]() {
      for (const customer of customers)
        for (const { metadata } of await namespacesOf(pool, customer)) {
          const name = metadata?.name ?? '';
          await removeFinalizers(core(pool), name);
          await core(pool).deleteNamespace({ name });
        }
    },
  });

  clusterTest(
    'is made as the template says when its first Pod comes; the quota of one is none of the other',
    async () => {
      await using pool = await farm.pool(types, { allNamespaces: true });
      const other = `${pool.id}-other`;
      await pool.addCustomer(other);
      await using _removal = removal(pool, pool.id, other);
      const file = join(dirname(pool.registry), 'namespace.yaml');
      await writeFile(file, template);
      await using worker = await pool.worker({ POP_NAMESPACE_TEMPLATE: file });
      const held = await pool.submit([{ name: 'a', type: 'holds' }]);
      const own = await until('the namespace', async () => (await namespacesOf(pool, pool.id))[0]?.metadata);
      expect(own).toMatchObject({
        name: expect.stringMatching(new RegExp(`^pop-${pool.id}-[0-9a-f]{8}$`)),
        labels: { team: 'media', 'app.kubernetes.io/managed-by': 'pop' },
        annotations: { of: '{customer}', 'pop.customer': pool.id },
      });
      const namespace = own.name ?? '';
      const isThere = async () =>
        (await core(pool).listNamespacedPod({ namespace })).items.some(isRunning) || undefined;
      await until('the Pod in it', isThere);
      const network = clientConfig(pool.facts).makeApiClient(NetworkingV1Api);
      const names = async (list: Promise<{ items: readonly { metadata?: { name?: string } }[] }>) =>
        (await list).items.map(({ metadata }) => metadata?.name);
      expect(await names(core(pool).listNamespacedResourceQuota({ namespace }))).toEqual(['pop']);
      expect(await names(core(pool).listNamespacedLimitRange({ namespace }))).toEqual(['pop']);
      expect(await names(network.listNamespacedNetworkPolicy({ namespace }))).toEqual(['outbound-only']);
      const account = await core(pool).readNamespacedServiceAccount({ namespace, name: 'pop-service' });
      expect(account.metadata?.annotations).toEqual({ of: `${pool.id} in ${namespace}` });
      expect(await pool.pods()).toEqual([]);
      // The quota of one Pod is used up; the other Customer has its own.
      const waiting = await pool.submit([{ name: 'a', type: 'succeeds' }]);
      await until('the words of the quota', async () => {
        const [operation] = (await pool.progress(waiting)).operationProgress;
        return JSON.stringify(operation).includes('exceeded quota: pop') || undefined;
      });
      const others = await pool.submit([{ name: 'a', type: 'succeeds' }], {}, other);
      expect((await pool.ended(others)).processingStateMessage).toBe('succeeded');
      expect(await namespacesOf(pool, other)).toHaveLength(1);
      await farm.request('POST', `/agenda/${held.id}/cancel`);
      expect((await pool.ended(held)).processingStateMessage).toBe('cancelled');
      expect((await pool.ended(waiting)).processingStateMessage).toBe('succeeded');
      expect((await pool.attempts(waiting)).map(({ launch }) => launch)).toEqual([1]);
      // Nothing of it is left; a worker that reaps namespaces takes those that are empty for long.
      await worker[Symbol.asyncDispose]();
      await using _reaping = await pool.worker({
        POP_NAMESPACE_TEMPLATE: file,
        POP_REAP_NAMESPACES_DAYS: '0.00001',
      });
      await farm.temporal.schedule.getHandle(plainNames.podReaperSchedule(pool.id)).trigger();
      await until('no namespace', async () => {
        const left = [...(await namespacesOf(pool, pool.id)), ...(await namespacesOf(pool, other))];
        return left.length === 0 || undefined;
      });
      // And it is made again when it is needed.
      const again = await pool.submit([{ name: 'a', type: 'succeeds' }]);
      expect((await pool.ended(again)).processingStateMessage).toBe('succeeded');
    },
  );

  clusterTest(
    'is the one that the Customer was given, with an allowed prefix and nobody else’s, and goes as the others do',
    async () => {
      await using pool = await farm.pool(types, { allNamespaces: true });
      const [given, outside] = [`pop-${pool.namespace}`, `tenant-${pool.namespace}`];
      const [first, second, third] = ['first', 'second', 'third'].map((id) => `${pool.id}-${id}`) as [
        string,
        string,
        string,
      ];
      await pool.addCustomer(first, 50, { namespace: given });
      await pool.addCustomer(second, 50, { namespace: given });
      await pool.addCustomer(third, 50, { namespace: outside });
      await using _removal = removal(pool, first, second, third);
      const file = join(dirname(pool.registry), 'namespace.yaml');
      await writeFile(file, template);
      const environment = { POP_NAMESPACE_TEMPLATE: file };
      await using worker = await pool.worker(environment);
      const held = await pool.submit([{ name: 'a', type: 'holds' }], {}, first);
      const pod = await until('the Pod', async () => {
        const { items } = await core(pool).listPodForAllNamespaces({ labelSelector: `pop.agenda=${held.id}` });
        return items.find(isRunning)?.metadata;
      });
      expect(pod).toMatchObject({
        namespace: given,
        labels: { 'pop.customer': first, 'pop.insight': `${first}-all` },
        annotations: { 'pop.customer': first, 'pop.insight': `${first}-all` },
      });
      expect((await namespacesOf(pool, first)).map(({ metadata }) => metadata)).toMatchObject([
        { name: given, labels: { team: 'media' }, annotations: { of: '{customer}', 'pop.customer': first } },
      ]);
      const refused = (words: string) => ({
        ...{ processingStateMessage: 'failed', failureCategory: 'configuration', failureCode: 'podRefused' },
        diagnosticEvents: [{ message: expect.stringContaining(words) }],
      });
      const taken = await pool.ended(await pool.submit([{ name: 'a', type: 'succeeds' }], {}, second));
      expect(taken.operationProgress).toMatchObject([refused(`The namespace ${given} is there already`)]);
      const forbidden = await pool.ended(await pool.submit([{ name: 'a', type: 'succeeds' }], {}, third));
      expect(forbidden.operationProgress).toMatchObject([
        refused(
          `The namespace "${outside}" of the Customer begins with no prefix that this pool worker allows; ` +
            'POP_CUSTOMER_NAMESPACES allows "pop-".',
        ),
      ]);
      expect([...(await namespacesOf(pool, second)), ...(await namespacesOf(pool, third))]).toEqual([]);
      await farm.request('POST', `/agenda/${held.id}/cancel`);
      expect((await pool.ended(held)).processingStateMessage).toBe('cancelled');
      // A worker that allows the other prefix as well takes it, and clears both away as it does those it named itself.
      await worker[Symbol.asyncDispose]();
      await using _allowing = await pool.worker({
        ...environment,
        POP_CUSTOMER_NAMESPACES: 'pop-,tenant-',
        POP_REAP_NAMESPACES_DAYS: '0.00001',
      });
      const allowed = await pool.submit([{ name: 'a', type: 'succeeds' }], {}, third);
      expect((await pool.ended(allowed)).processingStateMessage).toBe('succeeded');
      expect((await namespacesOf(pool, third)).map(({ metadata }) => metadata?.name)).toEqual([outside]);
      const reaper = farm.temporal.schedule.getHandle(plainNames.podReaperSchedule(pool.id));
      await until('no namespace', async () => {
        // One that is a moment old, or whose Pod is just going, stays for the round after.
        await reaper.trigger();
        const left = [...(await namespacesOf(pool, first)), ...(await namespacesOf(pool, third))];
        return left.length === 0 || undefined;
      });
      // Its name is free: it is the second Customer's, once the first one's is gone, and no round takes it away.
      await until('it is gone', async () => {
        const { items } = await core(pool).listNamespace({ fieldSelector: `metadata.name=${given}` });
        const { info } = await reaper.describe();
        return (items.length === 0 && info.runningActions.length === 0) || undefined;
      });
      const after = await pool.ended(await pool.submit([{ name: 'a', type: 'succeeds' }], {}, second));
      expect(after.processingStateMessage).toBe('succeeded');
      expect((await namespacesOf(pool, second)).map(({ metadata }) => metadata?.name)).toEqual([given]);
    },
  );

  clusterTest('is not taken from somebody else who has that name', async () => {
    await using pool = await farm.pool(types, { allNamespaces: true });
    await using _removal = removal(pool, pool.id);
    await using _worker = await pool.worker();
    const first = await pool.submit([{ name: 'a', type: 'succeeds' }]);
    expect((await pool.ended(first)).processingStateMessage).toBe('succeeded');
    const name = (await namespacesOf(pool, pool.id))[0]?.metadata?.name ?? '';
    await core(pool).deleteNamespace({ name });
    await until('it is gone', async () => {
      const { items } = await core(pool).listNamespace({ fieldSelector: `metadata.name=${name}` });
      return items.length === 0 || undefined;
    });
    await core(pool).createNamespace({ body: { metadata: { name } } });
    try {
      // A worker that has not been there before.
      await using _second = await pool.worker();
      await _worker[Symbol.asyncDispose]();
      const second = await pool.submit([{ name: 'a', type: 'succeeds' }]);
      const { operationProgress } = await pool.ended(second);
      expect(operationProgress[0]).toMatchObject({
        ...{ processingStateMessage: 'failed', failureCategory: 'configuration', failureCode: 'podRefused' },
        diagnosticEvents: [{ message: expect.stringContaining(`The namespace ${name} is there already`) }],
      });
      expect((await core(pool).listNamespacedPod({ namespace: name })).items).toEqual([]);
    } finally {
      await core(pool).deleteNamespace({ name });
    }
  });
});

describe('the PodReaper', () => {
  const kept = type({ ...onPaper({ message: '"done"' }), reapCompletedPods: false });
  const trigger = (pool: FarmPool) => farm.temporal.schedule.getHandle(plainNames.podReaperSchedule(pool.id)).trigger();

  clusterTest(
    'takes old ended Pods, and leaves young and running ones; its Schedule is there from the start',
    async () => {
      await using pool = await farm.pool({ kept, holds, succeeds });
      const minute = 60;
      await using _worker = await pool.worker({ POP_POD_REAP_AGE_MINUTES: '1', POP_POD_REAP_BATCH: '2' });
      const described = await farm.temporal.schedule.getHandle(plainNames.podReaperSchedule(pool.id)).describe();
      expect(described.spec.intervals?.[0]?.every).toBe(300_000);
      const old = await pool.submit([1, 2, 3].map((n) => ({ name: `o${n}`, type: 'kept' })));
      expect((await pool.ended(old)).processingStateMessage).toBe('succeeded');
      await pool.submit([{ name: 'runs', type: 'holds' }]);
      await pool.untilPods(4);
      // Their end is made a minute older than it is; a kubelet is not there to say otherwise.
      for (const { metadata, status } of (await pool.pods()).filter((pod) => !isRunning(pod))) {
        const [container] = status?.containerStatuses ?? [];
        const finishedAt = new Date(Date.now() - (minute + 5) * 1_000).toISOString().replace(/\.\d+Z/, 'Z');
        const terminated = { ...container?.state?.terminated, finishedAt };
        await pool.core.patchNamespacedPodStatus({
          ...{ namespace: pool.namespace, name: metadata?.name ?? '' },
          body: [{ op: 'replace', path: '/status/containerStatuses/0/state/terminated', value: terminated }],
        });
      }
      const young = await pool.submit([{ name: 'young', type: 'kept' }]);
      expect((await pool.ended(young)).processingStateMessage).toBe('succeeded');
      const before = await pool.pods();
      expect(before).toHaveLength(5);
      await trigger(pool);
      const left = await pool.untilPods(2);
      expect(left.map(({ metadata }) => metadata?.labels?.['pop.operation']).toSorted()).toEqual(['runs', 'young']);
      await pool.cancelAll();
    },
  );

  clusterTest('has nothing to do where Pods go at their end', async () => {
    await using pool = await farm.pool({ succeeds });
    await using _worker = await pool.worker();
    const agenda = await pool.submit([1, 2, 3].map((n) => ({ name: `o${n}`, type: 'succeeds' })));
    expect((await pool.ended(agenda)).processingStateMessage).toBe('succeeded');
    await pool.untilPods(0);
  });

  clusterTest('keeps no more than so many, however young they are', async () => {
    await using pool = await farm.pool({ kept });
    await using _worker = await pool.worker({ POP_PODS_KEPT: '2' });
    const agenda = await pool.submit([1, 2, 3, 4, 5].map((n) => ({ name: `o${n}`, type: 'kept' })));
    expect((await pool.ended(agenda)).processingStateMessage).toBe('succeeded');
    await pool.untilPods(5);
    await trigger(pool);
    await pool.untilPods(2);
  });
});

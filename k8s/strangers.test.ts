/** What a Pod cannot bring about that somebody else made with the labels and the fence of a launch. */
import { expect, test } from 'vitest';
import type { HandlerRun } from '../launchers/launcher.ts';
import { fenceOf } from '../messages/resource-pool.ts';
import { FakeApiServer, type KeptObject } from '../test/support/fake-api-server.ts';
import { runOf } from '../test/support/scratch.ts';
import { CustomerNamespaces } from './customer-namespaces.ts';
import { KubernetesApi } from './kubernetes-api.ts';
import { KubernetesLauncher } from './kubernetes-launcher.ts';
import { annotations, hashOf, labels, operationHash } from './names.ts';
import { emptyTemplate } from './namespace-template.ts';

async function launcherOn(fake: FakeApiServer, named: readonly string[] = []) {
  const troubles: string[] = [];
  const api = new KubernetesApi(fake.config);
  const customerNamespaces = new CustomerNamespaces({
    ...{ api, pool: 'p', template: emptyTemplate, watchesAll: true, named: () => named },
    onStranger: ({ message }) => void troubles.push(message),
  });
  const launcher = await KubernetesLauncher.connect({
    ...{ api, pool: 'p', namespace: 'pool', customerNamespaces, nodeLostSeconds: 1, createsAtOnce: 20 },
    onReachable: () => undefined,
  });
  return { launcher, troubles, [Symbol.dispose]: () => launcher[Symbol.dispose]() };
}

const secret = '{"secret":"of acme"}';
const acmeRun = (more: Partial<HandlerRun> = {}): HandlerRun =>
  runOf(
    { launch: 'kubernetes', imageName: 'x', namespace: 'pop-{customer}' },
    { key: 'op-0a', customerId: 'acme', payload: secret, report: { url: 'http://x', token: 'popl_TOKEN' }, ...more },
  );

/** A Pod that looks like the run's, wherever somebody put it. */
function imitate(fake: FakeApiServer, run: HandlerRun, namespace: string, more: Partial<Look> = {}): string {
  const { name = run.key, customerId = run.customerId, phase = 'Pending' } = more;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const told = {
    [labels.pool]: 'p',
    [labels.key]: run.key,
    [labels.operationId]: operationHash(run),
    [labels.customerId]: hashOf(customerId),
  };
  const metadata = {
    name,
    namespace,
    labels: told,
    annotations: { [annotations.fence]: JSON.stringify(fenceOf(run)) },
  };
  fake.put(path, { metadata, spec: {}, status: statusOf(phase) });
  return path;
}
interface Look {
  readonly name: string;
  readonly customerId: string;
  readonly phase: 'Pending' | 'Running' | 'Succeeded';
}

const time = '2026-01-01T00:00:00Z';
const statusOf = (phase: string, message = '"forged"') => ({
  phase,
  ...(phase === 'Running' && { containerStatuses: [{ name: 'handler', state: { running: { startedAt: time } } }] }),
  ...(phase === 'Succeeded' && {
    containerStatuses: [
      { name: 'handler', state: { terminated: { exitCode: 0, message, startedAt: time, finishedAt: time } } },
    ],
  }),
});

const markFor = (fake: FakeApiServer, name: string, customerId: string, more = {}) =>
  fake.put(`/api/v1/namespaces/${name}`, {
    metadata: { name, labels: { [labels.customerId]: hashOf(customerId), ...more } },
  });

const acmeNamespace = `pop-acme-${hashOf('acme').slice(0, 8)}`;
const realPath = `/api/v1/namespaces/${acmeNamespace}/pods/op-0a`;
const secretsOf = (fake: FakeApiServer) => [...fake.objects.keys()].filter((path) => path.includes('/secrets/'));
const heard = { progress: () => undefined, started: () => undefined };
const follow = (launcher: KubernetesLauncher, run: HandlerRun) =>
  launcher.follow(run, heard, AbortSignal.timeout(8_000));
const isGoing = (object: KeptObject | undefined) => object?.metadata.deletionTimestamp !== undefined;

/** Stops the run as its worker does, and ends the real Pod as its kubelet would. */
async function stopped(fake: FakeApiServer, launcher: KubernetesLauncher, path: string): Promise<void> {
  const stopping = launcher.stop('op-0a', 1);
  await expect.poll(() => isGoing(fake.objects.get(path)), { timeout: 5_000 }).toBe(true);
  fake.setStatus(path, statusOf('Succeeded'));
  await stopping;
}

test('a Pod in a stranger’s namespace gets no payload and no token, and its result is none', async () => {
  await using fake = await FakeApiServer.open('pool', 'mallory');
  const run = acmeRun();
  const strangers = ['op-0a', 'anything'].map((name) => imitate(fake, run, 'mallory', { name }));
  using it = await launcherOn(fake);
  const { launcher, troubles } = it;
  expect(await launcher.list()).toEqual([]);
  expect(await launcher.find(run)).toEqual([]);
  expect(await launcher.start(run)).toEqual({ key: run.key, adopted: false });
  expect(secretsOf(fake)).toEqual([`/api/v1/namespaces/${acmeNamespace}/secrets/op-0a`]);
  for (const path of strangers) fake.setStatus(path, statusOf('Succeeded'));
  fake.setStatus(realPath, statusOf('Succeeded', '"real"'));
  expect(await follow(launcher, run)).toMatchObject({ kind: 'succeeded', result: 'real' });
  await launcher.forget(run.key);
  expect(fake.objects.has(realPath)).toBe(false);
  // Nothing was done to those, and they were told of once.
  expect(fake.requests.filter(({ method, path }) => method !== 'GET' && path.includes('mallory'))).toEqual([]);
  expect(troubles).toEqual([expect.stringContaining('The Pod mallory/')]);
});

test('what a stranger’s Pod says while no worker knows the launch is neither stopped nor followed', async () => {
  await using fake = await FakeApiServer.open('pool', 'mallory');
  const run = acmeRun();
  using it = await launcherOn(fake);
  imitate(fake, run, 'mallory', { phase: 'Succeeded' });
  expect(await follow(it.launcher, run)).toMatchObject({ kind: 'lost', code: 'deleted' });
  for (const what of ['forget', 'abandon'] as const) await it.launcher[what](run.key);
  await it.launcher.stop(run.key, 1);
  expect(fake.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
});

test('a Customer with a namespace of its own cannot take the launch of another by a Pod in that', async () => {
  await using fake = await FakeApiServer.open('pool');
  markFor(fake, 'pop-mallory', 'mallory', { [labels.pool]: 'p' });
  const run = acmeRun();
  // As that Customer's, which its namespace is marked for, and as the other one's, which it is not.
  imitate(fake, run, 'pop-mallory', { name: 'a-0a', customerId: 'mallory', phase: 'Running' });
  imitate(fake, run, 'pop-mallory', { name: 'b-0a', phase: 'Running' });
  using first = await launcherOn(fake);
  expect(await first.launcher.start(run)).toMatchObject({ adopted: false });
  fake.setStatus(realPath, statusOf('Running'));
  // A worker that comes later lists the imitations first.
  using second = await launcherOn(fake);
  expect(await second.launcher.start(run)).toMatchObject({ adopted: true });
  expect(secretsOf(fake)).toEqual([`/api/v1/namespaces/${acmeNamespace}/secrets/op-0a`]);
  await stopped(fake, second.launcher, realPath);
  await second.launcher.forget(run.key);
  expect(fake.objects.has(realPath)).toBe(false);
  expect(fake.sent('DELETE').every(({ path }) => path === realPath)).toBe(true);
});

test.each([
  ['another namespace', 'mallory'],
  ['the pool’s own namespace', 'pool'],
])('a Pod that takes the key of a running one in %s does not hide it from its stop', async (_where, namespace) => {
  await using fake = await FakeApiServer.open('pool', 'mallory');
  using it = await launcherOn(fake);
  const { launcher } = it;
  const run = acmeRun();
  await launcher.start(run);
  fake.setStatus(realPath, statusOf('Running'));
  imitate(fake, run, namespace, { name: 'anything', phase: 'Succeeded' });
  const marker = acmeRun({ key: 'op-0b', operation: 'marker' });
  imitate(fake, marker, 'pool');
  // By then the watch has told of the other one too.
  await expect.poll(async () => (await launcher.list()).map(({ key }) => key)).toContain(marker.key);
  await stopped(fake, launcher, realPath);
  await launcher.forget(run.key);
  expect(fake.objects.has(realPath)).toBe(false);
});

test('of several Pods with one key of which none is known to be the launch’s each is stopped', async () => {
  await using fake = await FakeApiServer.open('pool');
  const run = acmeRun();
  const paths = ['a-0a', 'b-0a'].map((name) => imitate(fake, run, 'pool', { name, phase: 'Running' }));
  using it = await launcherOn(fake);
  const stopping = it.launcher.stop(run.key, 1);
  await expect.poll(() => paths.every((path) => !fake.objects.has(path))).toBe(true);
  await stopping;
});

test.each([
  ['the pool’s own namespace', 'pool'],
  ['one that the registry names', 'media'],
  ['one that its Customer had before', 'pop-before'],
  ['one that was marked by hand', 'by-hand'],
])('a launch that began in %s is adopted there after an edit', async (_which, namespace) => {
  await using fake = await FakeApiServer.open('pool', 'media');
  markFor(fake, 'pop-before', 'acme', { [labels.pool]: 'p', 'app.kubernetes.io/managed-by': 'pop' });
  markFor(fake, 'by-hand', 'acme');
  const run = acmeRun();
  // The prefix of names may have been edited, too.
  imitate(fake, run, namespace, { name: 'before-0a' });
  using it = await launcherOn(fake, ['media']);
  expect(await it.launcher.list()).toMatchObject([{ key: run.key, alive: true }]);
  expect(await it.launcher.start(run)).toEqual({ key: run.key, adopted: true });
  expect(fake.names(`/api/v1/namespaces/${namespace}/pods`)).toEqual(['before-0a']);
  expect(fake.sent('POST', '/pods')).toEqual([]);
});

test('the PodReaper leaves a stranger’s Pod alone, and counts it not as one of those that are kept', async () => {
  await using fake = await FakeApiServer.open('pool', 'mallory');
  const paths = ['mallory', 'pool'].map((namespace, n) => {
    const path = imitate(fake, acmeRun({ key: `op-${n}` }), namespace, { phase: 'Succeeded' });
    const { metadata, ...rest } = fake.objects.get(path) as KeptObject;
    const kept = { ...metadata.annotations, [annotations.keep]: 'true' };
    fake.put(path, { ...rest, metadata: { labels: { ...metadata.labels, [labels.done]: 'true' }, annotations: kept } });
    return path;
  });
  using it = await launcherOn(fake);
  const order = { olderThanSeconds: 1e9, mostKept: 1, batch: 10, mostSeconds: 10, logOnly: false };
  const reap = (mostKept: number) => it.launcher.reap({ ...order, mostKept }, () => undefined);
  expect(await reap(1)).toMatchObject({ pods: 0, kept: 1 });
  expect(await reap(0)).toMatchObject({ pods: 1, kept: 0 });
  expect(paths.map((path) => fake.objects.has(path))).toEqual([true, false]);
});

test('a namespace that another pool marked for a Customer of that id is not ours', async () => {
  await using fake = await FakeApiServer.open('pool');
  markFor(fake, acmeNamespace, 'acme', { [labels.pool]: 'other' });
  const run = acmeRun();
  imitate(fake, run, acmeNamespace, { phase: 'Running' });
  using it = await launcherOn(fake);
  expect(await it.launcher.list()).toEqual([]);
  await expect(it.launcher.start(run)).rejects.toMatchObject({
    code: 'podRefused',
    message: expect.stringMatching(/pop\.pool=other, and this pool is p/),
  });
  expect(secretsOf(fake)).toEqual([]);
});

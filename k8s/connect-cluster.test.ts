import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { parseRegistry } from '../launchers/registry.ts';
import { FakeApiServer } from '../test/support/fake-api-server.ts';
import { type ClusterSettings, clusterSettings, connectCluster, isClusterNamed } from './connect-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'pop-cluster-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

/** A kubeconfig with two contexts; the current one has no namespace. */
const kubeconfig = join(folder, 'kubeconfig');
writeFileSync(
  kubeconfig,
  JSON.stringify({
    'current-context': 'here',
    clusters: [{ name: 'c', cluster: { server: 'https://cluster.test:6443' } }],
    users: [{ name: 'u', user: { token: 't' } }],
    contexts: [
      { name: 'here', context: { cluster: 'c', user: 'u' } },
      { name: 'there', context: { cluster: 'c', user: 'u', namespace: 'of-context' } },
    ],
  }),
);

describe('settings', () => {
  test('without a kubeconfig, and outside of a Pod, there is no cluster', () => {
    expect(clusterSettings({})).toBeUndefined();
    expect(isClusterNamed({ POP_KUBECONFIG: '' })).toBe(false);
    // Some network plugins set it on hosts, too; a Pod has a token.
    expect(isClusterNamed({ KUBERNETES_SERVICE_HOST: '10.0.0.1' })).toBe(false);
  });

  test('defaults, and the namespace of the setting, the context, or the default one', () => {
    expect(clusterSettings({ POP_KUBECONFIG: kubeconfig })).toMatchObject({
      namespace: 'default',
      nodeLostSeconds: 60,
      createsAtOnce: 20,
    });
    expect(clusterSettings({ POP_KUBECONFIG: kubeconfig })).not.toHaveProperty('namespaceTemplate');
    const there = { POP_KUBECONFIG: kubeconfig, POP_KUBECONTEXT: 'there' };
    expect(clusterSettings(there)?.namespace).toBe('of-context');
    expect(clusterSettings({ ...there, POP_NAMESPACE: 'own', POP_NAMESPACE_TEMPLATE: '/t.yaml' })).toMatchObject({
      namespace: 'own',
      namespaceTemplate: '/t.yaml',
    });
  });

  test('numbers', () => {
    vi.stubEnv('POP_NODE_LOST_SECONDS', '0');
    vi.stubEnv('POP_PODS_CREATED_AT_ONCE', '5');
    expect(clusterSettings({ POP_KUBECONFIG: kubeconfig })).toMatchObject({ nodeLostSeconds: 0, createsAtOnce: 5 });
    vi.stubEnv('POP_NODE_LOST_SECONDS', 'soon');
    expect(() => clusterSettings({ POP_KUBECONFIG: kubeconfig })).toThrow('POP_NODE_LOST_SECONDS');
  });

  test('how namespaces of Customers may begin', () => {
    const prefixes = (text: string) =>
      clusterSettings({ POP_KUBECONFIG: kubeconfig, POP_CUSTOMER_NAMESPACES: text })?.customerNamespaces;
    expect(prefixes('pop-, tenant-')).toEqual(['pop-', 'tenant-']);
    expect(prefixes('')).toBeUndefined();
    for (const text of ['pop-,', ',', 'Pop-', '-a', 'pop-*', 'x'.repeat(64)])
      expect(() => prefixes(text)).toThrow(
        `POP_CUSTOMER_NAMESPACES must be beginnings of names of namespaces, such as "pop-,acme-", not "${text}"`,
      );
  });

  test('what cannot be used is told by its setting', () => {
    expect(() => clusterSettings({ POP_KUBECONFIG: join(folder, 'none') })).toThrow(
      /POP_KUBECONFIG cannot be used: .*none/,
    );
    const broken = join(folder, 'broken');
    writeFileSync(broken, 'clusters: {');
    expect(() => clusterSettings({ POP_KUBECONFIG: broken })).toThrow(/POP_KUBECONFIG cannot be used: .*broken/);
    const nowhere = { POP_KUBECONFIG: kubeconfig, POP_KUBECONTEXT: 'nowhere' };
    expect(() => clusterSettings(nowhere)).toThrow(/POP_KUBECONTEXT names no context of .*kubeconfig: "nowhere"/);
    // A registry, say, by mistake.
    const other = join(folder, 'other');
    writeFileSync(other, '{ "basePodConfig": {} }');
    expect(() => clusterSettings({ POP_KUBECONFIG: other })).toThrow(
      /POP_KUBECONFIG has no current context, so POP_KUBECONTEXT must name one: .*other/,
    );
  });
});

describe('a worker that connects', () => {
  const registryOf = (podConfig: object) =>
    parseRegistry(JSON.stringify({ basePodConfig: { imageName: 'x' }, a: { podConfig } }), '/registry.json');
  const settingsOn = (fake: FakeApiServer, more: Partial<ClusterSettings> = {}): ClusterSettings => ({
    ...{ config: fake.config, namespace: 'media', nodeLostSeconds: 60, createsAtOnce: 20, ...more },
  });
  const connect = (settings: ClusterSettings, podConfig: object = {}, signal = new AbortController().signal) => {
    const pool = { installationId: 'i', resourcePoolId: 'p' };
    const log = pino({ level: 'silent' });
    return connectCluster(
      settings,
      pool,
      { current: registryOf(podConfig) },
      { log, signal, onReachable: () => undefined },
    );
  };

  test('has the place of its cluster’s namespace, and watches that alone where no more is granted', async () => {
    await using fake = await FakeApiServer.open('media');
    fake.grants = ({ namespace }) => namespace === 'media';
    using launcher = await connect(settingsOn(fake));
    expect(launcher.place).toBe(`kubernetes:${fake.objects.get('/api/v1/namespaces/media')?.metadata.uid}`);
    const paths = new Set(fake.sent('GET', '/pods').map(({ path }) => path));
    expect([...paths]).toEqual(['/api/v1/namespaces/media/pods']);
  });

  test('watches all of the cluster where that is granted, for an edit may name other namespaces', async () => {
    await using fake = await FakeApiServer.open('media');
    using _ = await connect(settingsOn(fake));
    expect(new Set(fake.sent('GET', '/pods').map(({ path }) => path))).toEqual(new Set(['/api/v1/pods']));
  });

  test('watches all of the cluster where a type goes elsewhere', async () => {
    await using fake = await FakeApiServer.open('media');
    using _ = await connect(settingsOn(fake), { namespace: 'pop-{customer}' });
    expect(new Set(fake.sent('GET', '/pods').map(({ path }) => path))).toEqual(new Set(['/api/v1/pods']));
  });

  test('ends and names what it is not granted, also what its template needs', async () => {
    await using fake = await FakeApiServer.open('media');
    fake.grants = ({ resource }) => resource !== 'resourcequotas' && resource !== 'secrets';
    await expect(connect(settingsOn(fake))).rejects.toThrow(
      `the cluster at ${fake.url} does not grant this pool worker: create secrets, patch secrets in media; ` +
        'k8s/deploy/base/pool-worker has the Role',
    );
    const namespaceTemplate = join(folder, 'template.yaml');
    writeFileSync(namespaceTemplate, 'kind: ResourceQuota\nmetadata: { name: most }');
    await expect(connect(settingsOn(fake, { namespaceTemplate }), { namespace: '{customer}' })).rejects.toThrow(
      /create resourcequotas in all namespaces; .*components\/customer-namespaces has the ClusterRole$/,
    );
  });

  test('ends when its namespace is not there, or it is nobody', async () => {
    await using fake = await FakeApiServer.open();
    await expect(connect(settingsOn(fake))).rejects.toThrow(/refuses this pool worker: no .*namespaces\/media/);
    fake.refuse = () => ({ status: 401, message: 'Unauthorized' });
    await expect(connect(settingsOn(fake))).rejects.toThrow('refuses this pool worker: Unauthorized; renew');
  });

  test('waits for a cluster that does not answer', async () => {
    await using fake = await FakeApiServer.open('media');
    let refusals = 5;
    fake.refuse = () => (refusals-- > 0 ? { status: 503, message: 'starting' } : undefined);
    using launcher = await connect(settingsOn(fake));
    expect(await launcher.list()).toEqual([]);
    fake.refuse = () => ({ status: 503, message: 'away' });
    const giveUp = new AbortController();
    const waiting = connect(settingsOn(fake), {}, giveUp.signal);
    giveUp.abort(new Error('told to end'));
    await expect(waiting).rejects.toThrow('told to end');
  });
});

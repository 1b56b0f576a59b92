import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../test/support/fake-api-server.ts';
import { runOf } from '../test/support/scratch.ts';
import { CustomerNamespaces, type CustomerNamespacesOptions } from './customer-namespaces.ts';
import { KubernetesApi } from './kubernetes-api.ts';
import { hashOf, labels } from './names.ts';
import { emptyTemplate, readNamespaceTemplate } from './namespace-template.ts';
import { kubernetesRunOf } from './pod-spec.ts';

const own = 'pool';

function namespacesOn(fake: FakeApiServer, options: Partial<CustomerNamespacesOptions> = {}) {
  const api = new KubernetesApi(fake.config);
  const namespaces = new CustomerNamespaces({ api, pool: 'p', template: emptyTemplate, watchesAll: true, ...options });
  const of = (namespace: string | undefined, customerId = 'acme', customerNamespace?: string) => {
    const settings = { launch: 'kubernetes', imageName: 'x', ...(namespace !== undefined && { namespace }) };
    const given = customerNamespace === undefined ? {} : { customerNamespace };
    return namespaces.of(kubernetesRunOf(runOf(settings, { customerId, ...given })), own);
  };
  return { namespaces, of };
}

test('a type without a namespace goes to the pool’s own, one with a fixed one to that: nothing is asked', async () => {
  await using fake = await FakeApiServer.open();
  const { of } = namespacesOn(fake);
  expect(await of(undefined)).toBe(own);
  expect(await of('media')).toBe('media');
  expect(fake.requests).toEqual([]);
});

test('all is watched where some type goes elsewhere, else the pool’s own', async () => {
  await using fake = await FakeApiServer.open();
  expect(namespacesOn(fake).namespaces.watched(own)).toEqual([undefined]);
  expect(namespacesOn(fake, { watchesAll: false }).namespaces.watched(own)).toEqual([own]);
});

test('a type that an edit of the registry sent elsewhere waits, for nobody would see its Pods', async () => {
  await using fake = await FakeApiServer.open();
  const { of } = namespacesOn(fake, { watchesAll: false });
  expect(await of(own)).toBe(own);
  for (const namespace of ['media', 'pop-{customer}'])
    await expect(of(namespace)).rejects.toThrow(/restart this pool worker/);
  await expect(of('media')).rejects.not.toMatchObject({ name: 'LaunchError' });
  expect(fake.requests).toEqual([]);
});

describe('a namespace for each Customer', () => {
  test('is made once, with our mark', async () => {
    await using fake = await FakeApiServer.open();
    const { of } = namespacesOn(fake);
    const names = await Promise.all(Array.from({ length: 5 }, () => of('pop-{customer}')));
    const [name = ''] = names;
    expect(new Set(names).size).toBe(1);
    expect(name).toMatch(/^pop-acme-[0-9a-f]{8}$/);
    expect(fake.sent('POST', '/namespaces')).toHaveLength(1);
    expect(fake.objects.get(`/api/v1/namespaces/${name}`)?.metadata).toMatchObject({
      labels: {
        'app.kubernetes.io/managed-by': 'pop',
        'pop.customer': 'acme',
        [labels.pool]: 'p',
        [labels.customerId]: hashOf('acme'),
      },
      annotations: { 'pop.customer': 'acme' },
    });
    const asked = fake.requests.length;
    expect(await of('pop-{customer}')).toBe(name);
    expect(fake.requests).toHaveLength(asked);
  });

  test('is another one for ids that look alike, and fit for ids of every kind', async () => {
    await using fake = await FakeApiServer.open();
    const { of } = namespacesOn(fake);
    const ids = ['Acme', 'acme', 'acme!', 'https://acme.example/7', '漢字', '-', 'x'.repeat(500)];
    for (const prefix of ['', 'pop-', `${'p'.repeat(52)}-`]) {
      const names = await Promise.all(ids.map((id) => of(`${prefix}{customer}`, id)));
      expect(new Set(names).size).toBe(ids.length);
      for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
    }
  });

  test('that is there with our mark is used, made by whichever worker', async () => {
    await using fake = await FakeApiServer.open();
    const name = await namespacesOn(fake).of('{customer}');
    expect(await namespacesOn(fake).of('{customer}')).toBe(name);
    expect(fake.sent('POST', '/namespaces')).toHaveLength(1);
  });

  test('that is there without our mark, or with another Customer’s, is left alone', async () => {
    await using fake = await FakeApiServer.open();
    const name = `acme-${hashOf('acme').slice(0, 8)}`;
    for (const mark of [{}, { [labels.customerId]: hashOf('other') }]) {
      fake.put(`/api/v1/namespaces/${name}`, { metadata: { name, labels: mark } });
      await expect(namespacesOn(fake).of('{customer}')).rejects.toMatchObject({
        code: 'podRefused',
        message: expect.stringContaining(`${labels.customerId}=${hashOf('acme')}`),
      });
    }
    expect(fake.sent('POST')).toEqual([]);
  });

  test('that another worker makes in the same moment is used', async () => {
    await using fake = await FakeApiServer.open();
    const [first, second] = [namespacesOn(fake), namespacesOn(fake)];
    const names = await Promise.all([first.of('{customer}'), second.of('{customer}')]);
    expect(names[0]).toBe(names[1]);
    expect(fake.names('/api/v1/namespaces')).toEqual([names[0]]);
  });

  test('that could not be made, or that turned out to be gone, is made when it is needed again', async () => {
    await using fake = await FakeApiServer.open();
    const { namespaces, of } = namespacesOn(fake);
    fake.refuse = ({ method }) => (method === 'POST' ? { status: 403, message: 'no right' } : undefined);
    await expect(of('{customer}')).rejects.toThrow('no right');
    fake.refuse = () => undefined;
    const name = await of('{customer}');
    fake.objects.delete(`/api/v1/namespaces/${name}`);
    namespaces.forget(name);
    expect(await of('{customer}')).toBe(name);
    expect(fake.names('/api/v1/namespaces')).toEqual([name]);
  });

  test('gets what the template says; what is there already stays', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pop-template-'));
    try {
      const path = join(folder, 'template.yaml');
      writeFileSync(
        path,
        `kind: Namespace
metadata: { labels: { team: video, pop.pool: stolen }, annotations: { note: 'of a customer' } }
---
kind: ResourceQuota
metadata: { name: quota }
spec: { hard: { pods: '10' } }
---
kind: RoleBinding
metadata: { name: 'handlers-of-{namespace}' }
subjects: [{ kind: ServiceAccount, name: handler, namespace: '{namespace}' }]
roleRef: { kind: Role, name: 'for-{customer}', apiGroup: rbac.authorization.k8s.io }
`,
      );
      await using fake = await FakeApiServer.open();
      const template = readNamespaceTemplate(path);
      const name = await namespacesOn(fake, { template }).of('{customer}', 'a/b');
      expect(fake.objects.get(`/api/v1/namespaces/${name}`)?.metadata).toMatchObject({
        labels: { team: 'video', [labels.pool]: 'p', [labels.customerId]: hashOf('a/b') },
        annotations: { note: 'of a customer', 'pop.customer': 'a/b' },
      });
      const quota = `/api/v1/namespaces/${name}/resourcequotas/quota`;
      expect(fake.objects.get(quota)).toMatchObject({ metadata: { namespace: name }, spec: { hard: { pods: '10' } } });
      const bindings = `/apis/rbac.authorization.k8s.io/v1/namespaces/${name}/rolebindings`;
      expect(fake.objects.get(`${bindings}/handlers-of-${name}`)).toMatchObject({
        subjects: [{ namespace: name }],
        roleRef: { name: 'for-a_b' },
      });
      fake.put(quota, { metadata: { name: 'quota' }, spec: { hard: { pods: '99' } } });
      await namespacesOn(fake, { template }).of('{customer}', 'a/b');
      expect(fake.objects.get(quota)).toMatchObject({ spec: { hard: { pods: '99' } } });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a namespace that the Customer was given', () => {
  afterEach(() => vi.useRealTimers());
  const path = '/api/v1/namespaces/pop-given';

  test('takes the place of the one named after its id, and of no other', async () => {
    await using fake = await FakeApiServer.open();
    const { of } = namespacesOn(fake);
    expect(await of(undefined, 'acme', 'pop-given')).toBe(own);
    expect(await of('media', 'acme', 'pop-given')).toBe('media');
    expect(fake.requests).toEqual([]);
    const names = await Promise.all(Array.from({ length: 5 }, () => of('pop-{customer}', 'acme', 'pop-given')));
    expect(new Set(names)).toEqual(new Set(['pop-given']));
    expect(fake.sent('POST', '/namespaces')).toHaveLength(1);
    expect(fake.objects.get(path)?.metadata).toMatchObject({
      labels: { 'app.kubernetes.io/managed-by': 'pop', [labels.pool]: 'p', [labels.customerId]: hashOf('acme') },
      annotations: { 'pop.customer': 'acme' },
    });
    expect(await of('pop-{customer}', 'other')).toMatch(/^pop-other-/);
  });

  test('begins as those that the registry makes, or as the pool worker allows', async () => {
    await using fake = await FakeApiServer.open();
    const refused = (prefixes: string) => ({
      code: 'podRefused',
      message:
        'The namespace "given" of the Customer begins with no prefix that this pool worker allows; ' +
        `POP_CUSTOMER_NAMESPACES allows ${prefixes}. Nothing was launched.`,
    });
    await expect(namespacesOn(fake).of('pop-{customer}', 'acme', 'given')).rejects.toMatchObject(refused('"pop-"'));
    // An empty beginning would allow all.
    await expect(namespacesOn(fake).of('{customer}', 'acme', 'given')).rejects.toMatchObject(refused('none'));
    const other = namespacesOn(fake, { prefixes: ['tenant-', 'x'] });
    await expect(other.of('{customer}', 'acme', 'given')).rejects.toMatchObject(refused('"tenant-", "x"'));
    await expect(other.of('pop-{customer}', 'acme', 'pop-given')).rejects.toMatchObject({ code: 'podRefused' });
    expect(fake.requests).toEqual([]);
    expect(await other.of('{customer}', 'acme', 'tenant-given')).toBe('tenant-given');
    expect(await other.of('pop-{customer}', 'acme', 'x')).toBe('x');
    // Those named after ids are as before.
    expect(await other.of('pop-{customer}', 'acme')).toMatch(/^pop-acme-/);
  });

  test('is refused when it is no name, or the cluster’s, whatever the api says', async () => {
    await using fake = await FakeApiServer.open();
    const { of } = namespacesOn(fake, { prefixes: ['pop-', 'kube-', 'default'] });
    for (const name of ['pop-x/../../nodes', 'pop-X', 'kube-system', 'default', ''])
      await expect(of('pop-{customer}', 'acme', name)).rejects.toMatchObject({
        code: 'podRefused',
        message: expect.stringContaining(`is ${JSON.stringify(name)}.`),
      });
    expect(fake.requests).toEqual([]);
  });

  test('is the first one’s of two Customers; the other is refused, also by a worker that knows it', async () => {
    await using fake = await FakeApiServer.open();
    const { namespaces, of } = namespacesOn(fake);
    expect(await of('pop-{customer}', 'acme', 'pop-given')).toBe('pop-given');
    const refused = { code: 'podRefused', message: expect.stringContaining(`${labels.customerId}=${hashOf('other')}`) };
    for (const { of: ofWorker } of [{ of }, namespacesOn(fake)])
      await expect(ofWorker('pop-{customer}', 'other', 'pop-given')).rejects.toMatchObject(refused);
    // What is known of the first one stays known, and what is forgotten is looked at for whoever comes.
    const asked = fake.requests.length;
    expect(await of('pop-{customer}', 'acme', 'pop-given')).toBe('pop-given');
    expect(fake.requests).toHaveLength(asked);
    fake.objects.delete(path);
    namespaces.forget('pop-given');
    expect(await of('pop-{customer}', 'other', 'pop-given')).toBe('pop-given');
    await expect(of('pop-{customer}', 'acme', 'pop-given')).rejects.toMatchObject({ code: 'podRefused' });
    expect(fake.sent('POST', '/namespaces')).toHaveLength(2);
  });

  test('is that of one of two Customers that come at the same moment', async () => {
    await using fake = await FakeApiServer.open();
    const { of } = namespacesOn(fake);
    const customers = ['acme', 'other'];
    const answers = await Promise.allSettled(customers.map((id) => of('pop-{customer}', id, 'pop-given')));
    expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const owner = customers[answers.findIndex(({ status }) => status === 'fulfilled')] ?? '';
    expect(fake.objects.get(path)?.metadata.labels).toMatchObject({ [labels.customerId]: hashOf(owner) });
  });

  test('is looked at again after a while: it may have become another Customer’s since', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await using fake = await FakeApiServer.open();
    const object = { kind: 'ServiceAccount', metadata: { name: 'handler' } };
    const objects = [{ path: '/api/v1/namespaces/{namespace}/serviceaccounts', object }];
    const { of } = namespacesOn(fake, { template: { ...emptyTemplate, objects } });
    await of('pop-{customer}', 'acme', 'pop-given');
    fake.objects.delete(`${path}/serviceaccounts/handler`);
    vi.advanceTimersByTime(60_001);
    const asked = fake.requests.length;
    await of('pop-{customer}', 'acme', 'pop-given');
    // One look: what its owner took out of it stays out.
    expect(fake.requests.slice(asked)).toMatchObject([{ method: 'GET', path }]);
    const mark = { [labels.customerId]: hashOf('other') };
    fake.put(path, { metadata: { name: 'pop-given', labels: mark } });
    vi.advanceTimersByTime(60_001);
    await expect(of('pop-{customer}', 'acme', 'pop-given')).rejects.toMatchObject({ code: 'podRefused' });
  });
});

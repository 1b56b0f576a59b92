/** The manifests of k8s/deploy on a real cluster: they are taken, and their rights are enough and no more. */
import { readFileSync } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CoreV1Api,
  type KubernetesObject,
  RbacAuthorizationV1Api,
  type V1ClusterRole,
  type V1PodSpec,
  type V1PolicyRule,
} from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { KubernetesApi } from '../../k8s/kubernetes-api.ts';
import { readNamespaceTemplate } from '../../k8s/namespace-template.ts';
import { missingRights, neededRights, type Right } from '../../k8s/own-rights.ts';
import { podOf } from '../../k8s/pod-spec.ts';
import { parseRegistry, settingsFor } from '../../launchers/registry.ts';
import { startProgram } from '../support/program.ts';
import { ResourcePoolService } from '../support/resource-pool-service.ts';
import { realWorkflowEnvironment } from '../support/workflow-environment.ts';
import { clientConfig, kubeconfigFor } from './cluster/facts.ts';
import { busyboxImage } from './images.ts';
import { kubectl, kustomization, objectsOf, render } from './kubectl.ts';
import { onPaper, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import {
  clusterTest,
  realNodeTest,
  sharedCluster,
  type TestNamespace,
  testNamespace,
  until,
  untilPod,
} from './shared-cluster.ts';

const deploy = 'k8s/deploy';
const overlays = ['minikube', 'production', 'production/migrate'].map((name) => `${deploy}/overlays/${name}`);
const admin = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);

async function restrictedNamespace(kind: 'kwok' | 'real' = 'kwok'): Promise<TestNamespace> {
  const namespace = await testNamespace(kind);
  await kubectl('label', 'namespace', namespace.name, 'pod-security.kubernetes.io/enforce=restricted');
  return namespace;
}

/** A kustomization of folders of k8s/deploy in a namespace. */
const inNamespace = (namespace: string, resources: readonly string[], components: readonly string[] = [], more = {}) =>
  kustomization((of) => ({
    namespace,
    resources: resources.map((name) => of(`${deploy}/${name}`)),
    components: components.map((name) => of(`${deploy}/${name}`)),
    ...more,
  }));

/** Pods that the object makes. */
function podSpecsOf(object: KubernetesObject & { readonly spec?: { readonly template?: { spec?: V1PodSpec } } }) {
  const spec = object.spec?.template?.spec;
  return spec === undefined ? [] : [{ name: `${object.kind}-${object.metadata?.name}`.toLowerCase(), spec }];
}

describe.each(overlays)('%s', (folder) => {
  clusterTest('is taken by the API server, in any namespace', async () => {
    await using namespace = await testNamespace('kwok');
    await using here = await kustomization((of) => ({ namespace: namespace.name, resources: [of(folder)] }));
    const objects = objectsOf(await render(here.path));
    const said = await kubectl('apply', '--dry-run=server', '-k', here.path);
    expect(said.trim().split('\n')).toHaveLength(objects.length);
    expect(said).not.toMatch(/namespace\/pop /);
  });

  clusterTest('makes Pods that a namespace with Pod Security "restricted" takes', async () => {
    await using namespace = await restrictedNamespace();
    const pods = objectsOf(await render(folder)).flatMap(podSpecsOf);
    expect(pods.length).toBeGreaterThan(0);
    for (const { name, spec } of pods) {
      const body = { metadata: { name }, spec: { ...spec, serviceAccountName: 'default', restartPolicy: 'Never' } };
      const made = admin().createNamespacedPod({ namespace: namespace.name, body, dryRun: 'All' });
      await expect(made, name).resolves.toBeDefined();
      const containers = [...spec.containers, ...(spec.initContainers ?? [])];
      for (const { securityContext, resources, image } of containers) {
        expect(securityContext?.readOnlyRootFilesystem, name).toBe(true);
        expect(resources, name).toMatchObject({
          requests: { cpu: expect.anything() },
          limits: { memory: expect.anything() },
        });
        expect(image).not.toMatch(/:latest$|^[^:]+$/);
      }
    }
  });
});

clusterTest('every component goes with production, and all together are taken', async () => {
  await using namespace = await testNamespace('kwok');
  const components = ['components/temporal-api-key', 'components/customer-namespaces'];
  await using here = await inNamespace(namespace.name, ['overlays/production'], components);
  const objects = objectsOf(await render(here.path));
  for (const name of ['pop-api', 'pop-control', 'pop-pool-worker']) {
    const found = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata?.name === name);
    const [container] = podSpecsOf(found ?? {})[0]?.spec.containers ?? [];
    const variables = container?.env?.map((variable) => variable.name);
    expect(variables).toEqual(
      expect.arrayContaining(['TEMPORAL_TLS_CA', 'TEMPORAL_TLS_CERT', 'TEMPORAL_TLS_KEY', 'TEMPORAL_API_KEY_FILE']),
    );
  }
  await kubectl('apply', '--dry-run=server', '-k', here.path);
});

clusterTest('the video of the walk-through is made by a Pod that "restricted" takes', async () => {
  await using namespace = await restrictedNamespace();
  const file = 'examples/media/kubernetes/make-clip.yaml';
  await kubectl('create', '--dry-run=server', '-n', namespace.name, '-f', file);
  const pods = objectsOf(readFileSync(file, 'utf8')).flatMap(podSpecsOf);
  expect(pods).toHaveLength(1);
  for (const { name, spec } of pods)
    await admin().createNamespacedPod({ namespace: namespace.name, body: { metadata: { name }, spec }, dryRun: 'All' });
});

clusterTest('the Pod of a handler is taken by "restricted", as each registry here says it', async () => {
  await using namespace = await restrictedNamespace();
  const maps = [...(await Promise.all(overlays.map(render)))].flatMap(objectsOf) as { data?: Record<string, string> }[];
  const texts = [...new Set(maps.flatMap(({ data }) => data?.['registry.json'] ?? []))];
  expect(texts).toHaveLength(2);
  for (const text of texts) {
    const registry = parseRegistry(text, '/registry.json');
    for (const type of registry.types.keys()) {
      const settings = settingsFor(registry, type);
      const run = podRun({}, settings === undefined ? {} : { settings, type });
      const ground = { pool: 'pool', nodeLostSeconds: 60 };
      const pod = podOf(run as Parameters<typeof podOf>[0], namespace.name, ground);
      expect(pod).toMatchObject({ spec: { automountServiceAccountToken: false } });
      await admin().createNamespacedPod({ namespace: namespace.name, body: pod, dryRun: 'All' });
    }
  }
});

/** Each right of the rules, as one word. */
const wordsOfRules = (rules: readonly V1PolicyRule[]) =>
  rules
    .flatMap(({ verbs, resources }) => (resources ?? []).flatMap((at) => verbs.map((verb) => `${verb} ${at}`)))
    .sort();
const wordsOfRights = (rights: readonly Right[]) =>
  [
    ...new Set(
      rights.map(({ verb, resource, subresource }) => `${verb} ${resource}${subresource ? `/${subresource}` : ''}`),
    ),
  ].sort();

test('the roles of a pool worker are what it asks for, right by right', () => {
  const read = (file: string) => objectsOf(readFileSync(`${deploy}/${file}`, 'utf8')) as V1ClusterRole[];
  const [role] = read('base/pool-worker/role.yaml');
  expect(wordsOfRules(role?.rules ?? [])).toEqual(wordsOfRights(neededRights('pop', 'pop')));
  const [wide] = read('components/customer-namespaces/cluster-role.yaml');
  expect(wordsOfRules(wide?.rules ?? [])).toEqual(wordsOfRights(neededRights('pop', undefined)));
});

/** The token of a ServiceAccount, bound to a Pod when one is named. */
async function tokenOf(namespace: string, name: string, pod?: { name: string; uid: string }): Promise<string> {
  const boundObjectRef = pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } };
  const { status } = await admin().createNamespacedServiceAccountToken({
    namespace,
    name,
    body: { spec: { audiences: [], expirationSeconds: 3600, ...boundObjectRef } },
  });
  return status?.token ?? '';
}

/** Rights are seen by the authorizer a moment after they were granted. */
const untilGranted = (token: string, rights: readonly Right[]) =>
  until('rights', async () => {
    const missing = await missingRights(new KubernetesApi(clientConfig(sharedCluster(), token)), rights);
    return missing.length === 0 || undefined;
  });

realNodeTest('a pool worker with its Role does all that it has to, and reads nobody’s Secrets', async () => {
  await using namespace = await restrictedNamespace('real');
  await using here = await inNamespace(namespace.name, ['base/pool-worker']);
  await kubectl('apply', '-k', here.path, '-l', '!app.kubernetes.io/name');
  const token = await tokenOf(namespace.name, 'pop-pool-worker');
  await untilGranted(token, neededRights(namespace.name, namespace.name));
  using launcher = await podLauncher(namespace.name, { token });
  using other = await podLauncher(namespace.name, { token });
  const config = { imageName: busyboxImage, runAsUser: 1000, cpuMinRequestCount: '10m' };
  const script = 'echo told; cat "$POP_PAYLOAD_FILE" > "$POP_RESULT_FILE"';
  const run = podRun({ ...config, command: ['sh', '-c', script] });
  expect(await launcher.start(run)).toMatchObject({ adopted: false });
  expect(await other.start(run)).toMatchObject({ adopted: true });
  const ending = await toEnd(other, run);
  expect(ending).toMatchObject({ kind: 'succeeded', result: { a: 1 }, log: { output: 'told\n' } });
  expect(await launcher.find(run)).toMatchObject([{ key: run.key }]);
  await launcher.forget(run.key);
  const long = podRun({ ...config, command: ['sh', '-c', 'trap "exit 1" TERM; while :; do sleep 0.1; done'] });
  await launcher.start(long);
  await launcher.stop(long.key, 1);
  await launcher.forget(long.key);
  const kept = podRun({ ...config, command: ['true'], reapCompletedPods: false });
  expect(await toEnd(launcher, kept)).toMatchObject({ kind: 'succeeded' });
  await launcher.forget(kept.key);
  const reaping = { olderThanSeconds: 0, mostKept: 0, batch: 50, mostSeconds: 30, logOnly: false };
  // A Pod counts as ended once its phase says so, some time after its container.
  const left = async () => {
    await launcher.reap(reaping, () => undefined);
    return (await admin().listNamespacedPod({ namespace: namespace.name })).items;
  };
  await expect.poll(left, { timeout: 60_000 }).toEqual([]);
  const own = clientConfig(sharedCluster(), token).makeApiClient(CoreV1Api);
  await expect(own.listNamespacedSecret({ namespace: namespace.name })).rejects.toMatchObject({ code: 403 });
  await expect(own.listNamespacedPod({ namespace: 'default' })).rejects.toMatchObject({ code: 403 });
});

clusterTest('a pool worker of customer namespaces makes one from the template, and launches there', async () => {
  await using namespace = await testNamespace('kwok');
  await using here = await inNamespace(namespace.name, ['base/pool-worker'], ['components/customer-namespaces']);
  await kubectl('apply', '-k', here.path);
  const token = await tokenOf(namespace.name, 'pop-pool-worker');
  await untilGranted(token, neededRights(namespace.name, undefined));
  const template = readNamespaceTemplate(`${deploy}/components/customer-namespaces/template.yaml`);
  expect(template.objects).toHaveLength(6);
  const name = `${namespace.name}-{customer}`;
  using launcher = await podLauncher(namespace.name, { token, watchesAll: true, template });
  const run = podRun({ imageName: 'none', runAsUser: 1000, namespace: name, ...onPaper({}) });
  expect(await toEnd(launcher, run)).toMatchObject({ kind: 'succeeded' });
  await launcher.forget(run.key);
  const { items } = await admin().listNamespace({ labelSelector: `pop.pool=${namespace.name}` });
  expect(items).toHaveLength(1);
  const made = items[0]?.metadata;
  expect(made?.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  const roles = clientConfig(sharedCluster()).makeApiClient(RbacAuthorizationV1Api);
  const binding = await roles.readNamespacedRoleBinding({ namespace: made?.name ?? '', name: 'pop-service' });
  expect(binding.subjects).toMatchObject([{ name: 'pop-service', namespace: made?.name }]);
  await kubectl('delete', 'namespace', made?.name ?? '', '--wait=false');
  await kubectl('delete', '-k', here.path, '--wait=false', '--ignore-not-found');
});

clusterTest('a pool worker that lacks a right ends with 3 and names it', async () => {
  await using namespace = await testNamespace('kwok');
  await using environment = await realWorkflowEnvironment();
  await using service = await ResourcePoolService.open();
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-rights-'));
  const patch = JSON.stringify([{ op: 'remove', path: '/rules/1' }]);
  const patches = [{ target: { kind: 'Role', name: 'pop-pool-worker' }, patch }];
  await using here = await inNamespace(namespace.name, ['base/pool-worker'], [], { patches });
  await kubectl('apply', '-k', here.path);
  const token = await tokenOf(namespace.name, 'pop-pool-worker');
  const registry = join(folder.path, 'registry.json');
  await writeFile(registry, '{"basePodConfig":{},"any":{"podConfig":{"imageName":"none"}}}');
  await untilGranted(token, [{ verb: 'create', resource: 'pods', namespace: namespace.name }]);
  const settings = {
    ...{ POP_POOL_ID: service.resourcePoolId, POP_URL: service.url, POP_API_KEY: service.apiKey },
    ...{ TEMPORAL_ADDRESS: environment.address, POP_REGISTRY: registry, POP_NAMESPACE: namespace.name },
    POP_KUBECONFIG: await kubeconfigFor(sharedCluster(), token),
  };
  await using worker = startProgram('cli/pop.ts', settings, ['pool', 'run']);
  const code = await worker.exited;
  const said = worker.lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  expect(said).toContain(`does not grant this pool worker: get pods/log in ${namespace.name};`);
  expect(said).toContain(`${deploy}/base/pool-worker`);
  expect(code).toBe(3);
});

/** A Pod of the ServiceAccount `pop-service`, and a client with the token that is bound to it. */
async function handlerPod(namespace: string, name: string) {
  const containers = [{ name: 'handler', image: 'none' }];
  const annotations = { 'pop.test/run-for': 'never', 'pop.fence': 'mine' };
  const made = await admin().createNamespacedPod({
    namespace,
    body: { metadata: { name, annotations }, spec: { serviceAccountName: 'pop-service', containers } },
  });
  const uid = made.metadata?.uid ?? '';
  const token = await tokenOf(namespace, 'pop-service', { name, uid });
  const api = new KubernetesApi(clientConfig(sharedCluster(), token));
  return {
    patch: (body: unknown, of = name) =>
      api.ask({ method: 'PATCH', path: `/api/v1/namespaces/${namespace}/pods/${of}`, body }),
  };
}

clusterTest('a handler changes its own pop.report annotations, and nothing else', async () => {
  await using namespace = await testNamespace('kwok');
  await using here = await inNamespace(namespace.name, [], ['components/report-by-annotation']);
  await kubectl('apply', '-k', here.path);
  try {
    const mine = await handlerPod(namespace.name, 'mine');
    await handlerPod(namespace.name, 'other');
    const report = { metadata: { annotations: { 'pop.report.progress': '{"percentComplete":1}' } } };
    const refusal = async (body: unknown, of?: string) => {
      const refused = await mine.patch(body, of).then(
        () => 'allowed',
        (error: Error) => error.message,
      );
      return refused;
    };
    // Rights and policies are in force a moment after they were made.
    await until('right to report', () =>
      mine.patch(report).then(
        () => true,
        () => undefined,
      ),
    );
    await until('policy', async () => ((await refusal(report, 'other')) === 'allowed' ? undefined : true));
    await mine.patch({ metadata: { annotations: { 'pop.report.progress': null, 'pop.report.payload': '{}' } } });
    expect(await refusal(report, 'other')).toMatch(/no other Pod than the one that its token is bound to/);
    expect(await refusal({ metadata: { annotations: { 'pop.fence': 'theirs' } } })).toMatch(/no other annotations/);
    expect(await refusal({ metadata: { annotations: { 'pop.fence': null } } })).toMatch(/no other annotations/);
    expect(await refusal({ metadata: { annotations: { new: 'one' } } })).toMatch(/no other annotations/);
    expect(await refusal({ metadata: { labels: { 'pop.pool': 'other' } } })).toMatch(/may not change labels/);
    expect(await refusal({ metadata: { finalizers: ['pop.test/kept'] } })).toMatch(/neither finalizers nor owners/);
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'kube-root-ca.crt', uid: 'any' };
    expect(await refusal({ metadata: { ownerReferences: [owner] } })).toMatch(/neither finalizers nor owners/);
    expect(await refusal({ spec: { activeDeadlineSeconds: 1 } })).toMatch(/may not change the spec/);
    // A token of the account that is bound to no Pod changes none.
    const unbound = new KubernetesApi(clientConfig(sharedCluster(), await tokenOf(namespace.name, 'pop-service')));
    const path = `/api/v1/namespaces/${namespace.name}/pods/mine`;
    await expect(unbound.ask({ method: 'PATCH', path, body: report })).rejects.toThrow(/its token is bound to/);
    // Nobody else is held to it.
    await kubectl('annotate', '-n', namespace.name, 'pod', 'mine', 'new=one');
    await untilPod(
      admin(),
      { namespace: namespace.name, name: 'mine' },
      (pod) => pod.metadata?.annotations?.new === 'one',
    );
  } finally {
    await kubectl('delete', '-k', here.path, '--wait=false', '--ignore-not-found');
  }
});

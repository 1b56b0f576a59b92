/** What is said in a registry or a payload reaches the cluster as it was said. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NetworkingV1Api } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { readNamespaceTemplate } from '../../k8s/namespace-template.ts';
import { clientConfig } from './cluster/facts.ts';
import { busyboxImage } from './images.ts';
import { onPaper, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { clusterTest, realNodeTest, sharedCluster, testNamespace } from './shared-cluster.ts';

realNodeTest('a variable and an argument are literal, though they look like what Kubernetes fills in', async () => {
  await using namespace = await testNamespace('real');
  using launcher = await podLauncher(namespace.name);
  const text = '$(CID) $$(CID) $$ $ $(NOPE)';
  const run = podRun(
    {
      imageName: busyboxImage,
      runAsUser: 1000,
      command: ['sh', '-c', 'printf \'["%s","%s",%s]\' "$GIVEN" "$1" "$PAYLOAD" > "$POP_RESULT_FILE"', 'sh'],
      arguments: [text],
      envVars: { GIVEN: text },
    },
    { payload: JSON.stringify(text) },
  );
  expect(await toEnd(launcher, run)).toMatchObject({ kind: 'succeeded', result: [text, text, text] });
  await launcher.forget(run.key);
});

clusterTest('a policy of a Customer’s namespace lets in whom its template names, and nobody else', async () => {
  await using namespace = await testNamespace('kwok');
  const spec = { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { may: 'enter' } } }] }] };
  const object = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'few' }, spec };
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-template-'));
  const path = join(folder.path, 'template.yaml');
  await writeFile(path, JSON.stringify(object));
  const template = readNamespaceTemplate(path);
  using launcher = await podLauncher(namespace.name, { watchesAll: true, template });
  const run = podRun({ ...onPaper({ 'run-for': 'never' }), namespace: `${namespace.name.slice(0, 20)}-{customer}` });
  await launcher.start(run);
  const network = clientConfig(sharedCluster()).makeApiClient(NetworkingV1Api);
  const { items } = await network.listNetworkPolicyForAllNamespaces({ fieldSelector: 'metadata.name=few' });
  expect(items.map(({ spec }) => spec?.ingress?.[0]?._from)).toEqual([spec.ingress[0]?.from]);
  await launcher.stop(run.key, 1);
  await launcher.forget(run.key);
});

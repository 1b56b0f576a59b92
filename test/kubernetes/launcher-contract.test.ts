/** What every launcher promises, with Pods on a real node. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api, RbacAuthorizationV1Api } from '@kubernetes/client-node';
import { describe } from 'vitest';
import { launcherContract, type Work } from '../../launchers/contract.ts';
import { clientConfig } from './cluster/facts.ts';
import { busyboxImage, nodeImage } from './images.ts';
import { podLauncher, podRun } from './pod-launcher.ts';
import { hasRealNode, sharedCluster, testNamespace } from './shared-cluster.ts';

const quietSeconds = 4;

/** Reports by annotation, as images that were built for POP do. */
const reporting = `
  const fs = require('node:fs'), https = require('node:https');
  const account = '/var/run/secrets/kubernetes.io/serviceaccount/';
  const read = (name) => fs.readFileSync(account + name, 'utf8');
  const report = (progress) => new Promise((resolve, reject) => {
    const body = JSON.stringify({ metadata: { annotations: { 'pop.report.progress': JSON.stringify(progress) } } });
    const request = https.request({
      host: process.env.KUBERNETES_SERVICE_HOST, port: process.env.KUBERNETES_SERVICE_PORT,
      method: 'PATCH', ca: read('ca.crt'),
      path: '/api/v1/namespaces/' + process.env.MY_POD_NAMESPACE + '/pods/' + process.env.MY_POD_NAME,
      headers: { authorization: 'Bearer ' + read('token'), 'content-type': 'application/merge-patch+json' },
    }, (response) => {
      let text = '';
      const end = () => (response.statusCode === 200 ? resolve() : reject(new Error(text)));
      response.on('data', (chunk) => (text += chunk)).on('end', end);
    });
    request.on('error', reject).end(body);
  });
  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
`;
const reportAndWait = `${reporting}
  (async () => {
    await report({ percentComplete: 40 });
    while (!fs.existsSync('/go/on')) await wait(50);
    fs.writeFileSync(process.env.POP_RESULT_FILE, '"done"');
  })();`;
const reportOften = `${reporting}
  (async () => {
    for (let n = 0; n < ${quietSeconds * 2 * 4}; n += 1) {
      await report({ percentComplete: n });
      await wait(250);
    }
  })();`;

function configOf(work: Work): object {
  const shell = (script: string) => ({ imageName: busyboxImage, command: ['sh', '-c', script] });
  const node = (script: string) => ({ imageName: nodeImage, command: ['node', '-e', script], reportBy: 'annotation' });
  switch (work) {
    case 'echo':
      return shell('cat "$POP_PAYLOAD_FILE" > "$POP_RESULT_FILE"');
    case 'fail':
      return shell('exit 3');
    case 'waitForEver':
      return shell('trap "exit 1" TERM; while :; do sleep 0.1; done');
    case 'ignoreStop':
      return shell('trap "" TERM; while :; do sleep 0.1; done');
    case 'neverStart':
      return { imageName: busyboxImage, podTemplate: { spec: { dnsPolicy: 'Never' } } };
    case 'reportAndWait':
      return node(reportAndWait);
    case 'reportOften':
      return node(reportOften);
  }
}

/** A namespace whose handlers may patch Pods, and a folder of this machine that they see at /go. */
async function onRealNode() {
  const namespace = await testNamespace('real');
  const config = clientConfig(sharedCluster());
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);
  const metadata = { name: 'pop-service' };
  const here = { namespace: namespace.name };
  await config.makeApiClient(CoreV1Api).createNamespacedServiceAccount({ ...here, body: { metadata } });
  const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'patch'] }];
  await rbac.createNamespacedRole({ ...here, body: { metadata, rules } });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'pop-service' };
  const subjects = [{ kind: 'ServiceAccount', name: 'pop-service' }];
  await rbac.createNamespacedRoleBinding({ ...here, body: { metadata, roleRef, subjects } });
  const folder = await mkdtemp(join(tmpdir(), 'pop-go-'));
  await chmod(folder, 0o755);
  const launcher = await podLauncher(namespace.name);
  const other = await podLauncher(namespace.name);
  const goes = { name: 'go', hostPath: { path: folder } };
  return {
    launcher,
    other,
    quietSeconds,
    run(work: Work, limits: object = {}) {
      const template = { spec: { volumes: [goes], containers: [mounts] } };
      return podRun({
        runAsUser: 1000,
        cpuMinRequestCount: '10m',
        podTemplate: template,
        ...configOf(work),
        ...limits,
      });
    },
    proceed: () => void writeFile(join(folder, 'on'), ''),
    async [Symbol.asyncDispose]() {
      launcher[Symbol.dispose]();
      other[Symbol.dispose]();
      await namespace[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}
const mounts = { name: 'handler', volumeMounts: [{ name: 'go', mountPath: '/go' }] };

describe.skipIf(!hasRealNode)('a Pod', { timeout: 120_000 }, () => {
  launcherContract(onRealNode);
});

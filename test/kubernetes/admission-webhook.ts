/** A mutating admission webhook of this machine, as those that put a container of their own into each Pod. */
import { execFile } from 'node:child_process';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { AdmissionregistrationV1Api, type V1Container } from '@kubernetes/client-node';
import { clientConfig } from './cluster/facts.ts';
import { sharedCluster } from './shared-cluster.ts';

/** Puts the container first into each new Pod of a namespace, until it is disposed of. */
export async function injected(namespace: string, container: V1Container): Promise<AsyncDisposable> {
  const { key, cert } = await selfSigned();
  const server = createServer({ key, cert }, (request, response) => {
    void text(request).then((body) => {
      const { request: asked } = JSON.parse(body) as { request: { uid: string } };
      const patch = [{ op: 'add', path: '/spec/containers/0', value: container }];
      response.writeHead(200, { 'content-type': 'application/json' }).end(
        JSON.stringify({
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          response: {
            ...{ uid: asked.uid, allowed: true, patchType: 'JSONPatch' },
            patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
          },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const api = clientConfig(sharedCluster()).makeApiClient(AdmissionregistrationV1Api);
  const name = `inject-${namespace}`;
  const webhook = {
    name: 'sidecar.pop.test',
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(cert).toString('base64') },
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
  };
  await api.createMutatingWebhookConfiguration({ body: { metadata: { name }, webhooks: [webhook] } });
  return {
    async [Symbol.asyncDispose]() {
      await api.deleteMutatingWebhookConfiguration({ name });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function selfSigned(): Promise<{ key: string; cert: string }> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-webhook-'));
  const [key, cert] = [join(folder.path, 'key'), join(folder.path, 'cert')];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const about = ['-subj', '/CN=webhook', '-addext', 'subjectAltName=IP:127.0.0.1'];
  await promisify(execFile)('openssl', [...made, ...about, '-keyout', key, '-out', cert]);
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
}

/** What a pool worker says when it cannot begin, and that it needs no way in. */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { freePort } from '../../machine/free-port.ts';
import { certificateAuthority } from '../support/certificates.ts';
import { kubeconfigFor } from './cluster/facts.ts';
import { accountToken, Farm, type FarmPool } from './farm.ts';
import { moodyProxy } from './moody-proxy.ts';
import { isReached, outboundOnly } from './outbound-only.ts';
import { onPaper } from './pod-launcher.ts';
import { clusterTest, hasCluster, realNodeTest } from './shared-cluster.ts';

let farm: Farm;
let pool: FarmPool;
beforeAll(async () => {
  if (!hasCluster) return;
  farm = await Farm.start();
  pool = await farm.pool({ step: { podConfig: onPaper({ message: '"done"' }) } });
});
afterAll(async () => {
  await pool?.[Symbol.asyncDispose]();
  await farm?.[Symbol.asyncDispose]();
});

/** Its exit code and what it said, without the lines of its log that are no complaint. */
async function endOf(given: Readonly<Record<string, string>>, args: Readonly<Record<string, string>> = {}) {
  await using worker = pool.spawn(given, { args });
  const { code } = await worker.process.ended;
  return { code, said: await worker.log() };
}
const beside = (name: string) => join(dirname(pool.registry), name);

describe('a pool worker says plainly', () => {
  clusterTest('that its key is not good', async () => {
    await writeFile(beside('bad.key'), 'pop_live_nobody');
    const { code, said } = await endOf({}, { 'key-file': beside('bad.key') });
    expect(code).toBe(3);
    expect(said).toMatch(/key/i);
    expect(said).not.toContain('pop_live_nobody');
  });

  clusterTest('that its key is of another pool', async () => {
    await using other = await farm.pool({});
    await writeFile(beside('other.key'), other.key);
    const { code, said } = await endOf({}, { 'key-file': beside('other.key') });
    expect(code).toBe(3);
    expect(said).toContain(pool.id);
  });

  clusterTest('which rights it lacks in the cluster', async () => {
    const token = await accountToken(pool.facts, pool.namespace, 'nobody');
    const { code, said } = await endOf({ POP_KUBECONFIG: await kubeconfigFor(pool.facts, token) });
    expect(code).toBe(3);
    const { namespace } = pool;
    expect(said).toContain(
      `does not grant this pool worker: create pods, get pods, list pods, watch pods, patch pods, delete pods, ` +
        `get pods/log, create secrets, patch secrets, get namespaces ${namespace} in ${namespace}`,
    );
  });

  clusterTest('that the cluster does not know it', async () => {
    const { code, said } = await endOf({ POP_KUBECONFIG: await kubeconfigFor(pool.facts, 'no-such-token') });
    expect(code).toBe(3);
    expect(said).toContain(
      `the cluster at ${pool.facts.url} refuses this pool worker: Unauthorized; renew the credentials`,
    );
  });

  clusterTest('that a namespace is not there', async () => {
    const kubeconfig = await kubeconfigFor(pool.facts, pool.facts.adminToken);
    const { code, said } = await endOf({ POP_KUBECONFIG: kubeconfig, POP_NAMESPACE: 'no-such' });
    expect(code).toBe(3);
    expect(said).toContain('namespaces "no-such" not found');
  });

  clusterTest('that its kubeconfig is no file, or no kubeconfig', async () => {
    const missing = await endOf({ POP_KUBECONFIG: beside('none') });
    expect(missing.code).toBe(2);
    expect(missing.said).toMatch(/POP_KUBECONFIG\) cannot be used: .*none/);
    await writeFile(beside('text'), 'no: [kubeconfig');
    const broken = await endOf({ POP_KUBECONFIG: beside('text') });
    expect(broken.code).toBe(2);
    expect(broken.said).toContain('POP_KUBECONFIG');
    const plain = { ...pool.facts, url: 'http://127.0.0.1:1' };
    const insecure = await endOf({ POP_KUBECONFIG: await kubeconfigFor(plain, pool.token) });
    expect(insecure.code).toBe(2);
    expect(insecure.said).toContain('POP_KUBECONFIG) names a cluster that is not reached by https: http://127.0.0.1:1');
    const { said, code } = await endOf({ POP_KUBECONTEXT: 'elsewhere' });
    expect(code).toBe(2);
    expect(said).toContain('POP_KUBECONTEXT) names no context');
  });

  clusterTest('that its registry names Kubernetes where it has no cluster', async () => {
    const { code, said } = await endOf({ POP_KUBECONFIG: '', POP_RUN_DIRECTORY: beside('runs') });
    expect(code).toBe(2);
    expect(said).toMatch(/registry\.json \/step: "launch": "kubernetes" is not possible here/);
    expect(said).toContain('This pool worker launches: inProcess, local');
    // And which setting would make it possible.
    expect(said).toContain('POP_KUBECONFIG');
  });

  clusterTest('that its template of namespaces is none', async () => {
    await writeFile(beside('template.yaml'), 'kind: Deployment\nmetadata: { name: x }\n');
    const { code, said } = await endOf({ POP_NAMESPACE_TEMPLATE: beside('template.yaml') });
    expect(code).toBe(2);
    expect(said).toContain('document 1 is of the kind "Deployment"; possible are Namespace, ResourceQuota');
  });

  clusterTest('that the cluster does not answer, and goes on by itself once it does', async () => {
    const port = await freePort(0, new Set());
    const authority = certificateAuthority('away');
    const away = { ...pool.facts, ca: authority.certificate, url: `https://127.0.0.1:${port}` };
    await using worker = pool.spawn({ POP_KUBECONFIG: await kubeconfigFor(away, pool.token) });
    const said = await worker.says('the API server does not answer yet; trying on');
    expect(said).toContain(`https://127.0.0.1:${port}`);
    await using _proxy = await moodyProxy({ facts: pool.facts, port, authority });
    await worker.says('pool worker ready');
    const agenda = await pool.submit([{ name: 'a', type: 'step' }]);
    expect((await pool.ended(agenda)).processingStateMessage).toBe('succeeded');
  });
});

realNodeTest('a pool worker that can only call out, to the api, Temporal and the cluster, does its work', async () => {
  const { urls } = farm.system;
  const hostOf = (url: string) => new URL(url).host;
  const servers = { api: hostOf(urls.api), temporal: urls.temporal, cluster: hostOf(pool.facts.url) };
  await using firewall = await outboundOnly(servers);
  const { reached, forbidden, address } = firewall;
  const kubeconfig = JSON.parse(await readFile(pool.kubeconfig, 'utf8'));
  // The certificate has this name.
  kubeconfig.clusters[0].cluster['tls-server-name'] = 'kubernetes';
  kubeconfig.clusters[0].cluster.server = `https://${reached.cluster}`;
  await writeFile(beside('inside.kubeconfig'), JSON.stringify(kubeconfig));
  const metricsPort = String(await freePort(0, new Set()));
  await using _worker = await pool.worker(
    { POP_KUBECONFIG: beside('inside.kubeconfig'), POP_METRICS_PORT: metricsPort, POP_METRICS_HOST: '0.0.0.0' },
    {
      around: firewall.around,
      args: { api: `http://${reached.api}/v1`, temporal: reached.temporal ?? '' },
    },
  );
  // Listening, and yet nobody comes in; and nothing else is to be had from inside.
  const ask = (url: string) =>
    firewall.inside(
      process.execPath,
      '-e',
      `fetch('${url}', { signal: AbortSignal.timeout(2000) }).then((answer) =>
      console.log(answer.status), (error) => console.log(error.name))`,
    );
  expect(await ask(`http://127.0.0.1:${metricsPort}/metrics`)).toBe('200\n');
  expect(await isReached(`${address}:${metricsPort}`)).toBe(false);
  expect(await isReached(forbidden)).toBe(true);
  expect(await ask(`http://${forbidden}/readyz`)).toBe('TimeoutError\n');
  const agenda = await pool.submit([
    { name: 'a', type: 'step' },
    { name: 'b', type: 'step', payload: '@<a.out::/>' },
  ]);
  expect((await pool.ended(agenda)).processingStateMessage).toBe('succeeded');
  expect((await pool.attempts(agenda)).map(({ launch }) => launch)).toEqual([1, 1]);
});

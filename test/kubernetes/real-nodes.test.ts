/** A real node that stops answering while its containers run on. */
import { expect } from 'vitest';
import { startCluster } from './cluster/cluster.ts';
import { nodeKindLabel } from './cluster/kwok.ts';
import { importUsualImages } from './cluster/real-node.ts';
import { nodeImage } from './images.ts';
import { onPaper } from './pod-launcher.ts';
import { isRunning, PodPool } from './pod-pool.ts';
import { reachable } from './reachable.ts';
import { realNodeTest, until } from './shared-cluster.ts';

/** Reports its end by itself, late. */
const late = `
  const fs = require('node:fs');
  const post = (operation, more) => fetch(process.env.POP_URL + '/resourcepool/service/' + operation, {
    method: 'POST',
    headers: {
      authorization: 'Bearer ' + fs.readFileSync(process.env.POP_TOKEN_FILE, 'utf8'),
      'content-type': 'application/json',
    },
    body: JSON.stringify({ items: [{ ...JSON.parse(process.env.POP_LAUNCH), ...more }] }),
  });
  (async () => {
    for (;;) {
      const { items: [{ verdict }] } = await (await post('reportProgress', {})).json();
      if (verdict === 'over') break;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await post('finishOperation', { outcome: 'succeeded', result: '"late"' });
  })();`;

realNodeTest('argo 1832: a kubelet that is stopped: relaunched elsewhere, what returns is void', async () => {
  await using cluster = await startCluster({ realNode: true, nodeGraceSeconds: 12 });
  const { facts } = cluster;
  await importUsualImages(facts);
  const name = 'both';
  await cluster.api.createNamespace({ body: { metadata: { name } } });
  await until(
    'ServiceAccount',
    async () => (await cluster.api.listNamespacedServiceAccount({ namespace: name })).items[0],
  );
  const real = {
    ...{ imageName: nodeImage, command: ['node', '-e', late], runAsUser: 1000, cpuMinRequestCount: '10m' },
    nodeSelector: { [nodeKindLabel]: 'real' },
    tolerations: [{ key: nodeKindLabel, operator: 'Exists' }],
  };
  const reach = (url: string) => reachable(url, facts);
  await using pool = await PodPool.open(name, real, { facts, nodeLostSeconds: 3, reach });
  const worker = await pool.worker();
  const key = await pool.admit();
  const first = worker.run(key).ended;
  first.catch(() => undefined);
  const old = await pool.pod('first Pod', isRunning);
  expect(old.spec?.nodeName).toBe(facts.realNode?.name);
  cluster.part('kubelet').pause();
  await expect(first).rejects.toMatchObject({ type: 'lost' });
  pool.setType({ ...onPaper({ message: '"elsewhere"' }), nodeSelector: { [nodeKindLabel]: 'kwok' } });
  await pool.again(worker, key);
  const isTold = () =>
    pool.service
      .sent('finishOperation')
      .some(({ items }) => items.some((item) => 'result' in item && item.result === '"late"'));
  // The container runs on without its kubelet, and hears now that its launch is over.
  await until('late report', async () => isTold() || undefined);
  expect((await pool.pods()).map(({ metadata }) => metadata?.uid)).toEqual([old.metadata?.uid]);
  cluster.part('kubelet').continue();
  await until('end of the old Pod', async () => (await pool.pods()).length === 0 || undefined, 120);
  expect(await pool.recorded(key)).toMatchObject({
    message: 'succeeded',
    result: '"elsewhere"',
    launch: 2,
    attempts: 1,
  });
  expect(await pool.service.launches(key.agendaId)).toMatchObject([
    { ending: 'lost', category: 'infrastructure', code: 'nodeLost', decision: 'again' },
    { ending: 'succeeded' },
  ]);
});

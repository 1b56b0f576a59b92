/** A whole system whose Operations are containers: from submission to the record, a killed pool worker in between. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type AgendaProgress, client } from '../../examples/demo/client.ts';
import { System } from '../../machine/system.ts';
import { testEngine } from '../support/docker-engine.ts';

const engine = await testEngine();
afterAll(() => engine?.[Symbol.asyncDispose]());

const begun = 'echo begun; until [ -e /gate/open ]; do sleep 0.05; done; ';

test.skipIf(engine === undefined)(
  'an Agenda of containers is adopted by the next pool worker, and succeeds',
  async () => {
    const home = await mkdtemp(join(tmpdir(), 'pop-containers-'));
    const registry = join(home, 'registry.json');
    const gated = { command: ['/bin/sh', '-c', `${begun}cp "$POP_PAYLOAD_FILE" "$POP_RESULT_FILE"`] };
    const missing = { command: ['/no-such'] };
    const base = {
      ...{ launch: 'docker', imageName: engine?.image, network: 'none' },
      mounts: [{ source: join(home, 'gate'), target: '/gate' }],
    };
    await writeFile(
      registry,
      JSON.stringify({ basePodConfig: base, gated: { podConfig: gated }, missing: { podConfig: missing } }),
    );
    await mkdir(join(home, 'gate'));
    const environment = { POP_DOCKER_SOCKET: engine?.socket ?? '', POP_HEARTBEAT_SECONDS: '5' };
    const system = await System.start({ home, registry, environment });
    try {
      const operator = client(system.urls.api, system.keys.operator);
      await operator('POST', '/resourcepool', { id: 'local', customerId: 'operations', title: 'Here' });
      await operator('POST', '/customer', { id: 'c', customerId: 'c', title: 'C', resourcePoolId: 'local' });
      const insight = { id: 'i', customerId: 'c', title: 'All', resourcePoolId: 'local', mappers: { always: [] } };
      await operator('POST', '/insight', { ...insight, queueSize: 10, maximumRunning: 10 });
      const submit = async (operations: unknown) =>
        (await operator<{ progressId: string }>('POST', '/agenda', { customerId: 'c', operations })).progressId;
      const progressOf = (id: string) => operator<AgendaProgress>('GET', `/progress/agenda/${id}`);
      const id = await submit([
        { name: 'first', type: 'gated', payload: { n: 1 } },
        { name: 'second', type: 'gated', payload: { of: '@<first.out::/n>' } },
      ]);
      const first = async () => (await progressOf(id)).operationProgress.find(({ operation }) => operation === 'first');
      await expect.poll(async () => (await first())?.startedTime, { timeout: 60_000 }).toEqual(expect.any(Number));
      await system.kill('pool');
      await system.start('pool');
      await writeFile(join(home, 'gate', 'open'), '');
      await expect.poll(async () => (await progressOf(id)).processingState, { timeout: 120_000 }).toBe('COMPLETE');
      const { processingStateMessage, operationProgress } = await progressOf(id);
      expect(processingStateMessage).toBe('succeeded');
      for (const each of operationProgress) expect(each).toMatchObject({ attemptCount: 1, launch: 1 });
      const bad = await submit([{ name: 'only', type: 'missing' }]);
      await expect.poll(async () => (await progressOf(bad)).processingState, { timeout: 60_000 }).toBe('COMPLETE');
      expect((await progressOf(bad)).operationProgress[0]).toMatchObject({
        processingStateMessage: 'failed',
        failureCategory: 'configuration',
        failureCode: 'containerNotStarted',
      });
      // What was acknowledged is forgotten.
      const filters = { label: ['pop.launch'] };
      await expect.poll(() => engine?.docker.listContainers({ all: true, filters }), { timeout: 60_000 }).toEqual([]);
    } finally {
      await system.stopAll();
      await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }
  },
);

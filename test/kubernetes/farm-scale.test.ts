/**
 * Many Pods through one pool worker that is replaced in the middle, as a Deployment's rollout does: 400 Pods of 40
 * Agendas, and 2,000 with POP_PODS=every (`npm run test:pods`).
 */
import { expect } from 'vitest';
import { Farm, isRunning } from './farm.ts';
import { onPaper } from './pod-launcher.ts';
import { PodWitness } from './pod-witness.ts';
import { clusterTest, until } from './shared-cluster.ts';

const agendas = 40;
const operationsOfEach = process.env.POP_PODS === 'every' ? 50 : 10;
const pods = agendas * operationsOfEach;
/** Between SIGTERM and the end of the first worker; Kubernetes gives 30. */
const drainSeconds = 20;

clusterTest(
  `${pods} Pods of ${agendas} Agendas: none is lost, none runs twice, across a rolling restart`,
  async () => {
    await using farm = await Farm.start();
    const step = { podConfig: onPaper({ 'run-for': '1s', message: '"done"' }) };
    await using pool = await farm.pool({ step });
    await using witness = await PodWitness.begin(pool.facts, pool.namespace);
    await using first = await pool.worker({ POP_DRAIN_SECONDS: String(drainSeconds) });
    // A first step, then many at once, then the last, which waits for all of them.
    const names = Array.from({ length: operationsOfEach - 2 }, (_, n) => `o${n}`);
    const operations = [
      { name: 'first', type: 'step' },
      ...names.map((name) => ({ name, type: 'step', dependsOn: ['first'] })),
      { name: 'last', type: 'step', dependsOn: names },
    ];
    const begun = Date.now();
    const all = await Promise.all(Array.from({ length: agendas }, () => pool.submit(operations)));
    const doneSoFar = async () => {
      const [row] = await farm.sql<{ done: number }[]>`
      select count(*)::int as done from operation_progress where processing_state = 'COMPLETE'`;
      return row?.done ?? 0;
    };
    await until('a third of the work', async () => (await doneSoFar()) >= pods / 3 || undefined, 300);
    await using second = await pool.worker();
    expect((await pool.pods()).filter(isRunning).length).toBeGreaterThan(0);
    const asked = Date.now();
    first.process.kill('SIGTERM');
    expect(await first.process.ended).toEqual({ code: 0, signal: null });
    const drained = Date.now() - asked;
    expect(drained).toBeLessThan(drainSeconds * 1_000);
    const ends = await Promise.all(all.map((agenda) => pool.ended(agenda, 600)));
    const seconds = (Date.now() - begun) / 1_000;
    for (const { processingStateMessage, operationProgress } of ends) {
      expect(processingStateMessage).toBe('succeeded');
      for (const each of operationProgress) expect(each).toMatchObject({ resultPayload: '"done"', attemptCount: 1 });
    }
    // Each launch of the record is one Pod that there was, and there was no other.
    const launches = (await Promise.all(all.map((agenda) => pool.attempts(agenda)))).flat();
    expect(launches).toHaveLength(pods);
    for (const each of launches) expect(each).toMatchObject({ launch: 1, ending: 'succeeded' });
    const { seen } = witness;
    expect(seen).toHaveLength(pods);
    expect(new Set(seen.map(({ launch }) => launch)).size).toBe(pods);
    const adopted = (await second.log()).split('\n').filter((line) => line.includes('"adopted":true'));
    expect(adopted.length).toBeGreaterThan(0);
    await pool.untilPods(0);
    expect(await farm.differences()).toEqual([]);
    const rate = (pods / seconds).toFixed(1);
    console.log(
      `${pods} Pods in ${seconds.toFixed(1)} s (${rate}/s), ${adopted.length} adopted, drained in ${drained} ms`,
    );
  },
  900_000,
);

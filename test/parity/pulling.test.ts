/** How a pool worker takes work, and how one sees that it cannot. It is the program of the product, a process. */
import { expect, test } from 'vitest';
import { freePort } from '../../machine/free-port.ts';
import { signOfLifeSeconds } from '../../messages/resource-pool.ts';
import { FrontDoor } from './front-door.ts';
import { OwnPool } from './own-pool.ts';
import {
  done,
  ended,
  newTenant,
  operationOf,
  operator,
  run,
  sample,
  sleeping,
  submit,
  until,
} from './running-system.ts';

test('row 57: what waits is taken without a pause; a worker without work asks for nothing', async () => {
  await using pool = await OwnPool.make();
  await using door = await FrontDoor.open();
  const tenant = await newTenant({}, pool.id);
  const agendas = [];
  for (let count = 0; count < 5; count += 1)
    agendas.push(await submit(tenant, { operations: [sample('a', sleeping(300))] }));
  await pool.startWorker({ POP_CONCURRENCY: '1', POP_URL: door.url });
  const ends = await Promise.all(agendas.map((agenda) => ended(tenant, agenda)));
  const runs = ends.map((progress) => operationOf(progress, 'a')).sort((a, b) => a.startedTime - b.startedTime);
  // One that pauses between two questions waits for 10 s, as POP's sample is set.
  for (const [index, { startedTime }] of runs.entries())
    if (index > 0) expect(startedTime - (runs[index - 1]?.completedTime ?? 0)).toBeLessThan(5_000);

  // Nothing is left to do: from one sign of life to the next but one it asks the api for nothing else.
  const signs = () => door.passed.filter(({ path }) => path.endsWith('/reportWorker'));
  const before = signs().length;
  const [first, , third] = await until(
    'three signs of life',
    () => (signs().length >= before + 3 ? signs().slice(before) : undefined),
    3.5 * signOfLifeSeconds,
  );
  const between = door.passed.filter(({ time }) => time > (first?.time ?? 0) && time < (third?.time ?? 0));
  expect(between.map(({ path }) => path).filter((path) => !path.endsWith('/reportWorker'))).toEqual([]);

  const submittedTime = Date.now();
  const late = await run(tenant, { operations: [sample('a')] });
  expect(operationOf(late, 'a').startedTime - submittedTime).toBeLessThan(5_000);
}, 240_000);

test('row 60: a worker that cannot reach its service is seen to be so, and to be back', async () => {
  await using pool = await OwnPool.make();
  await using door = await FrontDoor.open();
  const port = await freePort(0);
  await pool.startWorker({ POP_URL: door.url, POP_METRICS_PORT: String(port), POP_METRICS_HOST: '127.0.0.1' });
  const reachable = async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(/^pop_pool_reachable\{what="api"\} (\d)$/m.exec(text)?.[1]);
  };
  const probe = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  const alive = async () => (await done(operator, 'GET', `/resourcepool/${pool.id}/workers`)).all[0]?.alive as boolean;
  expect([await reachable(), await alive()]).toEqual([1, true]);

  await door.shut();
  await until('its metric says so', async () => ((await reachable()) === 0 ? true : undefined), 90);
  // A new process would not mend that.
  expect([await probe('/livez'), await probe('/readyz')]).toEqual([200, 200]);
  await until('the pool does not count on it any more', async () => ((await alive()) ? undefined : true), 150);

  await door.open();
  await until('its metric says so', async () => ((await reachable()) === 1 ? true : undefined), 90);
  await until('the pool counts on it again', async () => ((await alive()) ? true : undefined), 90);
  const progress = await run(await newTenant({}, pool.id), { operations: [sample('a')] });
  expect(progress.processingStateMessage).toBe('succeeded');
}, 420_000);

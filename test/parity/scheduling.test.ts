import { expect, test } from 'vitest';
import { OwnPool } from './own-pool.ts';
import { countQueued, withRecord } from './record.ts';
import {
  done,
  ended,
  mostAtOnce,
  newId,
  newTenant,
  type OperationProgress,
  operator,
  progressOf,
  run,
  sample,
  sleeping,
  submit,
  system,
  type Tenant,
  until,
} from './running-system.ts';

/** Agendas of these that wait, and those that are admitted. */
const queued = (agendas: readonly { readonly id: string }[]) =>
  withRecord((sql) =>
    countQueued(
      sql,
      agendas.map(({ id }) => id),
    ),
  );

test('row 48: the queue is filled up to queueSize, and again when one is taken', async () => {
  await using pool = await OwnPool.make();
  const tenant = await newTenant({ queueSize: 4 }, pool.id);
  const agendas: { id: string; progressId: string }[] = [];
  for (let count = 0; count < 10; count += 1)
    agendas.push(await submit(tenant, { operations: [sample('a', sleeping(600_000))] }));
  const filled = (admitted: number) => async () => ((await queued(agendas)).admitted === admitted ? true : undefined);
  await until('four are in the queue', filled(4));
  expect(await queued(agendas)).toEqual({ waiting: 6, admitted: 4 });
  // A worker that can do one thing at a time takes one.
  await pool.startWorker({ POP_CONCURRENCY: '1' });
  await until('one runs and four are in the queue', filled(5));
  const states = await Promise.all(agendas.map(async (agenda) => (await progressOf(tenant, agenda)).processingState));
  expect(states.sort()).toEqual(['EXECUTING', ...Array.from({ length: 9 }, () => 'WAITING')]);
  expect(await queued(agendas)).toEqual({ waiting: 5, admitted: 5 });
  for (const agenda of agendas.toReversed()) await done(tenant.send, 'POST', `/agenda/${agenda.id}/cancel`);
  for (const agenda of agendas) expect((await ended(tenant, agenda)).processingStateMessage).toBe('cancelled');
  expect(await queued(agendas)).toEqual({ waiting: 0, admitted: 0 });
});

test('row 49: Agendas start in the order of their submission, whoever submitted them', async () => {
  const first = await newTenant();
  const second = await newTenant();
  const insightId = newId('insight');
  // Paused while they gather; one at a time afterwards.
  await done(operator, 'POST', '/insight', {
    id: insightId,
    customerId: 'operations',
    title: 'One at a time',
    resourcePoolId: system.poolId,
    mappers: { paramMap: [`queue=${insightId}`] },
    schedulingAlgorithm: 'FirstInFirstOut',
    queueSize: 0,
    maximumRunning: 1,
    allowedCustomerIds: [first.customerId, second.customerId],
    order: -1,
  });
  const submitted: {
    tenant: Tenant;
    agenda: { id: string; progressId: string; agendaInsight: { insightId: string } };
  }[] = [];
  for (const tenant of [first, first, first, second, first, second, second]) {
    const agenda = await submit(tenant, { params: { queue: insightId }, operations: [sample('a')] });
    expect(agenda.agendaInsight.insightId).toBe(insightId);
    submitted.push({ tenant, agenda });
  }
  await done(operator, 'PUT', `/insight/${insightId}`, { queueSize: 1 });
  const ends = [];
  for (const { tenant, agenda } of submitted) ends.push(await ended(tenant, agenda));
  const startedTimes = ends.map((progress) => progress.operationProgress[0].startedTime);
  expect(startedTimes).toEqual([...startedTimes].sort((a, b) => a - b));
  expect(new Set(startedTimes).size).toBe(startedTimes.length);
  // One at a time: each began after the one before had ended.
  for (const [index, progress] of ends.entries()) {
    if (index > 0) expect(progress.startedTime).toBeGreaterThanOrEqual(ends[index - 1].completedTime);
  }
});

test('row 56: only Agendas of the Insight that admits are started', async () => {
  const open = await newTenant();
  const paused = await newTenant({ queueSize: 0 });
  const waiting = [
    await submit(paused, { operations: [sample('a')] }),
    await submit(paused, { operations: [sample('a')] }),
  ];
  for (let round = 0; round < 2; round += 1) {
    expect((await run(open, { operations: [sample('a')] })).processingStateMessage).toBe('succeeded');
  }
  for (const agenda of waiting) expect((await progressOf(paused, agenda)).processingState).toBe('WAITING');
  await done(operator, 'PUT', `/insight/${paused.insightId}`, { queueSize: 5 });
  for (const agenda of waiting) expect((await ended(paused, agenda)).processingStateMessage).toBe('succeeded');
});

test('row 58: with maximumRunning 2 the third Agenda starts only after one has ended', async () => {
  // Paused until all are there.
  const tenant = await newTenant({ queueSize: 0, maximumRunning: 2 });
  const operations = [sample('a', sleeping(1500)), sample('b', {}, { dependsOn: ['a'] })];
  const agendas = [];
  for (let count = 0; count < 4; count += 1) agendas.push(await submit(tenant, { operations }));
  await done(operator, 'PUT', `/insight/${tenant.insightId}`, { queueSize: 100 });
  const ends = await Promise.all(agendas.map((agenda) => ended(tenant, agenda)));
  expect(ends.map((progress) => progress.processingStateMessage)).toEqual(ends.map(() => 'succeeded'));
  expect(mostAtOnce(ends)).toBe(2);
  const [first, second, third] = ends;
  expect(third.startedTime).toBeGreaterThanOrEqual(Math.min(first.completedTime, second.completedTime));
});

test('row 53: a broken Insight does not keep others from being served', async () => {
  const [broken, whole] = [await newTenant({ queueSize: 0 }), await newTenant()];
  const agenda = await submit(broken, { operations: [sample('a')] });
  // The interface refuses such a setting, so it is made behind its back.
  await withRecord(
    (sql) => sql`update insight set scheduling_algorithm = 'Broken', queue_size = 10 where id = ${broken.insightId}`,
  );
  const poked = await submit(broken, { operations: [sample('a')] });
  for (let round = 0; round < 2; round += 1) {
    expect((await run(whole, { operations: [sample('a')] })).processingStateMessage).toBe('succeeded');
  }
  for (const each of [agenda, poked]) expect((await progressOf(broken, each)).processingState).toBe('WAITING');
  await done(operator, 'PUT', `/insight/${broken.insightId}`, { schedulingAlgorithm: 'FirstInFirstOut' });
  for (const each of [agenda, poked]) expect((await ended(broken, each)).processingStateMessage).toBe('succeeded');
});

test('row 54: the metric of waiting Agendas is their number, also above 100', async () => {
  const tenant = await newTenant({ queueSize: 0, title: 'All of them wait' });
  const agendas = await Promise.all(Array.from({ length: 120 }, () => submit(tenant, { operations: [sample('a')] })));
  const metric = async () => {
    const lines: string[] = (await done(operator, 'GET', '/metrics')).split('\n');
    const line = lines.find((one) =>
      one.startsWith(`pop_waiting_agendas{insight="${tenant.insightId}",title="All_of_them_wait"}`),
    );
    return Number(line?.split(' ').at(-1));
  };
  await until('120 wait', async () => ((await metric()) === 120 ? true : undefined));
  await done(tenant.send, 'POST', `/agenda/${agendas[0]?.id}/cancel`);
  await until('119 wait', async () => ((await metric()) === 119 ? true : undefined));
  const oldest = await done(tenant.send, 'GET', `/agenda/${agendas[1]?.id}/explain`);
  expect(oldest).toMatchObject({ code: 'insightPaused', sentence: expect.stringContaining('queueSize is 0') });
  await Promise.all(agendas.slice(1).map((agenda) => done(tenant.send, 'POST', `/agenda/${agenda.id}/cancel`)));
  await until('none waits', async () => ((await metric()) === 0 ? true : undefined));
});

test('row 55: the Operations of an Agenda that was picked come before those of Agendas picked later', async () => {
  await using pool = await OwnPool.make();
  const tenant = await newTenant({}, pool.id);
  const five = await submit(tenant, {
    operations: ['a', 'b', 'c', 'd', 'e'].map((name) => sample(name, sleeping(800))),
  });
  await pool.startWorker({ POP_CONCURRENCY: '1' });
  await until('it is picked', async () =>
    (await progressOf(tenant, five)).processingState === 'EXECUTING' ? true : undefined,
  );
  const later = [
    await submit(tenant, { operations: [sample('a')] }),
    await submit(tenant, { operations: [sample('a')] }),
  ];
  const picked = await ended(tenant, five);
  const lastStart = Math.max(...picked.operationProgress.map(({ startedTime }: OperationProgress) => startedTime));
  for (const agenda of later) expect((await ended(tenant, agenda)).startedTime).toBeGreaterThanOrEqual(lastStart);
});

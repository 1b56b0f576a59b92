import { expect, test } from 'vitest';
import {
  done,
  ended,
  mostAtOnce,
  newId,
  newTenant,
  operator,
  progressOf,
  run,
  sample,
  sleeping,
  submit,
  system,
  type Tenant,
} from './running-system.ts';

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
  const submitted: { tenant: Tenant; agenda: { id: string; progressId: string; agendaInsight: { insightId: string } } }[] = [];
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
  const waiting = [await submit(paused, { operations: [sample('a')] }), await submit(paused, { operations: [sample('a')] })];
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

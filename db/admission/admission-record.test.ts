import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { admission, runningAgenda } from '../schema.ts';
import { readAdmission } from './admission-record.ts';
import { deleteOldAdmissions } from './old-admissions.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);
const of = { attempt: 1, insightId: 'insight', resourcePoolId: 'pool', customerId: 'customer', batchId: 'batch' };
let number = 0;
const add = (agendaId: string, days: number, ended = true) =>
  database.insert(admission).values({
    ...{
      ...of,
      agendaId,
      number: ++number,
      algorithm: 'Fairness',
      costModel: 'count',
      epoch: 0,
      reason: 'share',
      agendaType: 'a×1',
    },
    ...{
      need: '1,0,0,0',
      level: 0,
      expectedSeconds: 1,
      cost: 1,
      weight: 1,
      admittedTime: daysAgo(days),
      readyTime: daysAgo(days),
    },
    endedTime: ended ? daysAgo(days) : null,
  });

test('admissions are kept for as many days, and those of Agendas that run, in portions', async () => {
  for (const [agendaId, days] of [
    ['young', 29],
    ['old', 31],
    ['older', 40],
    ['oldest', 50],
  ] as const)
    await add(agendaId, days);
  await add('running', 45, false);
  await database.insert(runningAgenda).values({ ...of, agendaId: 'running' });
  await add('end not taken in', 45, false);
  await add('end never told', 61, false);
  expect(await deleteOldAdmissions(database, 30, 2)).toBe(2);
  expect(await readAdmission(database, 'oldest', 1)).toBeUndefined();
  expect(await readAdmission(database, 'old', 1)).toMatchObject({ agendaId: 'old' });
  expect(await deleteOldAdmissions(database, 30)).toBe(2);
  expect(await deleteOldAdmissions(database, 30)).toBe(0);
  const left = await database.select({ agendaId: admission.agendaId }).from(admission).orderBy(admission.agendaId);
  expect(left.map(({ agendaId }) => agendaId)).toEqual(['end not taken in', 'running', 'young']);
});

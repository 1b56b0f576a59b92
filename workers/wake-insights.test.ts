import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { controlActivities } from '../activities/control/activities.ts';
import { clearWake } from '../db/admission/wake.ts';
import { type TestDatabase, testDatabase } from '../test/support/test-database.ts';
import { addAgenda, addInsight, freshId } from '../test/support/test-records.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import { plainNames } from '../workflows/names.ts';
import { type WakeParts, wakeInsights } from './wake-insights.ts';

let database: TestDatabase;
let environment: WorkflowEnvironment;
let parts: WakeParts;
beforeAll(async () => {
  [database, environment] = await Promise.all([testDatabase(), realWorkflowEnvironment()]);
  parts = { database, client: environment.client, log: pino({ level: 'silent' }) };
});
afterAll(async () => {
  await environment[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** Wakes that its admission workflow was sent; nobody serves it. */
const signalsTo = async (insightId: string): Promise<number> => {
  const { events } = await environment.client.workflow
    .getHandle(plainNames.admissionWorkflow(insightId))
    .fetchHistory();
  return events?.filter((event) => event.workflowExecutionSignaledEventAttributes).length ?? 0;
};

test('wakes of many at once are one signal per Insight, until its batch has looked', async () => {
  const [one, other] = [await addInsight(database), await addInsight(database)];
  await Promise.all(
    Array.from({ length: 40 }, () => wakeInsights(parts, [one.insightId, other.insightId, one.insightId])),
  );
  expect([await signalsTo(one.insightId), await signalsTo(other.insightId)]).toEqual([1, 1]);
  await clearWake(database, one.insightId);
  await Promise.all(Array.from({ length: 10 }, () => wakeInsights(parts, [one.insightId, other.insightId])));
  expect([await signalsTo(one.insightId), await signalsTo(other.insightId)]).toEqual([2, 1]);
});

test('a batch that leaves capacity wakes the other Insights of the pool that wait, and nobody else', async () => {
  const own = await addInsight(database, { slots: 3 });
  const { resourcePoolId } = own;
  const [waits, idle] = [
    await addInsight(database, { resourcePoolId }),
    await addInsight(database, { resourcePoolId }),
  ];
  const woken: string[] = [];
  const control = controlActivities({
    ...parts,
    settings: { heartbeatSeconds: 60, cancelSeconds: 120, quietSeconds: 60, sweepSeconds: 5, admissionsDays: 1 },
    wake: (insightIds) => void woken.push(...insightIds),
  });
  const admit = ({ insightId }: { insightId: string }) =>
    control.admitBatch({ insightId, batchId: freshId('batch'), view: true });
  for (let n = 0; n < 3; n++) await addAgenda(database, own);
  expect(await admit(own)).toMatchObject({ admitted: 3 });
  await addAgenda(database, waits);
  expect(await admit(waits)).toMatchObject({ admitted: 0 });
  expect(woken).toEqual([]);

  await database.$client`delete from running_agenda where insight_id = ${own.insightId}`;
  await addAgenda(database, own);
  expect(await admit(own)).toMatchObject({
    ...{ admitted: 1, more: false, unstarted: 1 },
    view: { waiting: 0, running: 1, poolSlots: 1, decisions: [{ number: 4, customerId: 'customer' }, {}, {}, {}] },
  });
  expect(woken).toEqual([waits.insightId]);
  expect(woken).not.toContain(idle.insightId);
});

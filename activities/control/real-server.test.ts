import { fileURLToPath } from 'node:url';
import { WorkflowNotFoundError } from '@temporalio/client';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { countUnstarted, markStarted } from '../../db/agenda/start-outbox.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, freshId, type TestAgenda, type TestInsight } from '../../test/support/test-records.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../../test/support/workflow-environment.ts';
import { runSweeper } from '../../workers/sweeper.ts';
import { agendaWorkflowType, plainNames } from '../../workflows/names.ts';
import { loadPlan } from './load-plan.ts';
import type { ControlParts } from './parts.ts';
import { startAdmitted } from './start-admitted.ts';

let database: TestDatabase;
let environment: WorkflowEnvironment;
const woken: string[] = [];
let parts: ControlParts;

beforeAll(async () => {
  [database, environment] = await Promise.all([
    testDatabase(),
    realWorkflowEnvironment({ 'frontend.WorkflowPauseEnabled': 'true' }),
  ]);
  parts = {
    database,
    client: environment.client,
    log: pino({ level: 'silent' }),
    settings: { heartbeatSeconds: 5, cancelSeconds: 5, quietSeconds: 0.001, sweepSeconds: 0.05, admissionsDays: 30 },
    wake: (insightIds) => woken.push(...insightIds),
  };
});
afterAll(async () => {
  await Promise.all([environment[Symbol.asyncDispose](), database[Symbol.asyncDispose]()]);
});

const admitted = async (insight: TestInsight, settings: Parameters<typeof addAgenda>[2] = {}): Promise<TestAgenda> => {
  const agenda = await addAgenda(database, insight, settings);
  await admitBatch(database, { insightId: insight.insightId, batchId: freshId('batch') });
  return agenda;
};
const handleOf = ({ agendaId }: TestAgenda) =>
  environment.client.workflow.getHandle(plainNames.agendaWorkflow(agendaId));
const statusOf = async (agenda: TestAgenda) =>
  handleOf(agenda)
    .describe()
    .then(
      ({ status }) => status.name,
      (error: unknown) => (error instanceof WorkflowNotFoundError ? undefined : Promise.reject(error)),
    );
const stateOf = async ({ agendaId }: TestAgenda) => {
  const [row] = await database.$client<{ state: string; message: string; events: string | null; held: boolean }[]>`
    select processing_state as state, processing_state_message as message, diagnostic_events::text as events,
      exists (select 1 from running_agenda r where r.agenda_id = p.agenda_id) as held
    from agenda_progress p where agenda_id = ${agendaId}`;
  return row;
};

describe('starting what was admitted', () => {
  test('gives the workflow its id, memo and search attributes, once', async () => {
    const insight = await addInsight(database);
    const agenda = await admitted(insight, {
      operations: [
        { name: 'a', type: 'x' },
        { name: 'b', type: 'y' },
      ],
    });
    expect(await startAdmitted(parts, { insightId: insight.insightId, most: 25 })).toEqual({
      started: 1,
      remaining: 0,
    });
    const { memo, searchAttributes } = await handleOf(agenda).describe();
    expect(memo).toEqual({ attempt: agenda.attempt });
    expect(searchAttributes).toMatchObject({
      AgendaId: [agenda.agendaId],
      InsightId: [insight.insightId],
      ResourcePoolId: [insight.resourcePoolId],
      AgendaState: ['executing'],
      OperationTypes: ['x', 'y'],
    });
    expect(await startAdmitted(parts, { insightId: insight.insightId, most: 25 })).toEqual({
      started: 0,
      remaining: 0,
    });
  });

  test('marks one whose workflow of the same attempt runs already', async () => {
    const insight = await addInsight(database);
    const agenda = await admitted(insight);
    const { agendaId, attempt } = agenda;
    await environment.client.workflow.start(agendaWorkflowType, {
      ...{
        workflowId: plainNames.agendaWorkflow(agendaId),
        taskQueue: 'nobody',
        args: [{ agendaId, attempt }],
        memo: { attempt },
      },
    });
    expect(await startAdmitted(parts, { insightId: insight.insightId, most: 25 })).toMatchObject({ started: 1 });
    expect(await countUnstarted(database, insight.insightId)).toBe(0);
  });

  test('leaves one whose workflow of another attempt still runs, and tries it again', async () => {
    const insight = await addInsight(database);
    const agenda = await admitted(insight);
    const { agendaId } = agenda;
    await environment.client.workflow.start(agendaWorkflowType, {
      ...{
        workflowId: plainNames.agendaWorkflow(agendaId),
        taskQueue: 'nobody',
        args: [{ agendaId, attempt: 0 }],
        memo: { attempt: 0 },
      },
    });
    expect(await startAdmitted(parts, { insightId: insight.insightId, most: 25 })).toEqual({
      started: 0,
      remaining: 0,
    });
    expect(await countUnstarted(database, insight.insightId)).toBe(1);
    await handleOf(agenda).terminate();
    expect(await startAdmitted(parts, { insightId: insight.insightId, most: 25 })).toMatchObject({ started: 1 });
  });

  test('fails one that Temporal refuses for good, with its message, and gives the place back', async () => {
    const insight = await addInsight(database);
    const agenda = await admitted(insight);
    // Longer than Temporal takes for one value of a search attribute.
    await database.$client`update agenda set link_id = ${'x'.repeat(3_000)} where id = ${agenda.agendaId}`;
    await startAdmitted(parts, { insightId: insight.insightId, most: 25 });
    expect(await stateOf(agenda)).toMatchObject({ state: 'COMPLETE', message: 'failed', held: false });
    expect((await stateOf(agenda))?.events).toContain('Temporal refused to start this Agenda');
  });
});

describe('the sweep', () => {
  const sweepUntil = async (done: () => Promise<boolean>) => {
    const stop = new AbortController();
    const sweeping = runSweeper(parts, stop.signal);
    await expect.poll(done, { timeout: 20_000, interval: 50 }).toBe(true);
    stop.abort();
    await sweeping;
  };
  const claimed = async ({ agendaId }: TestAgenda, runId: string) =>
    database.$client`
      update running_agenda set run_id = ${runId}, started_time = clock_timestamp() where agenda_id = ${agendaId}`;

  test('ends an Agenda whose workflow was terminated, and leaves one whose workflow is open', async () => {
    const insight = await addInsight(database);
    const [gone, open] = [await admitted(insight), await admitted(insight)];
    await startAdmitted(parts, { insightId: insight.insightId, most: 25 });
    for (const agenda of [gone, open]) await claimed(agenda, (await handleOf(agenda).describe()).runId);
    await handleOf(gone).terminate('by hand');
    await sweepUntil(async () => (await stateOf(gone))?.state === 'COMPLETE');
    expect(await stateOf(gone)).toMatchObject({ message: 'failed', held: false });
    expect((await stateOf(gone))?.events).toContain('workflow terminated');
    expect(await stateOf(open)).toMatchObject({ state: 'WAITING', held: true });
  });

  const claimOf = async ({ agendaId }: TestAgenda) =>
    (
      await database.$client<
        { runId: string | null }[]
      >`select run_id as "runId" from running_agenda where agenda_id = ${agendaId}`
    )[0];
  const nextRun = '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a12';
  const lostRun = '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11';

  test('starts an Agenda again whose workflow Temporal does not know, claimed or not; its claim is free', async () => {
    const insight = await addInsight(database);
    const [unclaimed, lost] = [await admitted(insight), await admitted(insight)];
    await markStarted(database, [unclaimed]);
    await claimed(lost, lostRun);
    for (const agenda of [unclaimed, lost]) {
      await sweepUntil(async () => (await statusOf(agenda)) === 'RUNNING');
      expect(await stateOf(agenda)).toMatchObject({ state: 'WAITING', held: true });
      expect(await claimOf(agenda)).toEqual({ runId: null });
      expect((await handleOf(agenda).describe()).memo).toEqual({ attempt: agenda.attempt });
    }
  });

  test('does not take the closed workflow of an earlier attempt for that of an Agenda without its own', async () => {
    const agenda = await admitted(await addInsight(database));
    const { agendaId } = agenda;
    await environment.client.workflow.start(agendaWorkflowType, {
      ...{
        workflowId: plainNames.agendaWorkflow(agendaId),
        taskQueue: 'nobody',
        args: [{ agendaId, attempt: 0 }],
        memo: { attempt: 0 },
      },
    });
    await handleOf(agenda).terminate();
    await markStarted(database, [agenda]);
    await sweepUntil(async () => (await statusOf(agenda)) === 'RUNNING');
    expect(await stateOf(agenda)).toMatchObject({ held: true });
  });

  test('a run that was started in place of a missing one takes over its claim', async () => {
    const agenda = await admitted(await addInsight(database));
    await claimed(agenda, lostRun);
    const { agendaId, attempt } = agenda;
    expect(await loadPlan(parts, { agendaId, attempt, runId: nextRun })).toMatchObject({ verdict: 'run' });
    expect(await claimOf(agenda)).toEqual({ runId: nextRun });
  });

  test('replaces a workflow that waits for nothing', async () => {
    const agenda = await admitted(await addInsight(database));
    await startAdmitted(parts, { insightId: agenda.insightId, most: 25 });
    const { runId } = await handleOf(agenda).describe();
    await claimed(agenda, runId);
    const workflowsPath = fileURLToPath(new URL('../../test/support/stalled-workflow.ts', import.meta.url));
    const waits = async () => (await handleOf(agenda).describe()).raw.pendingWorkflowTask == null;
    const untilItWaits = () => expect.poll(waits, { timeout: 20_000, interval: 50 }).toBe(true);
    await environment.run({ [plainNames.controlQueue]: {} }, untilItWaits, { workflowsPath });
    await sweepUntil(async () => (await handleOf(agenda).describe()).runId !== runId);
    expect(await statusOf(agenda)).toBe('RUNNING');
    expect(await claimOf(agenda)).toEqual({ runId: null });
    expect(
      (await environment.client.workflow.getHandle(plainNames.agendaWorkflow(agenda.agendaId), runId).describe()).status
        .name,
    ).toBe('TERMINATED');
  });

  test('leaves an Agenda whose workflow somebody has paused', async () => {
    const [paused, gone] = [await admitted(await addInsight(database)), await admitted(await addInsight(database))];
    for (const agenda of [paused, gone]) {
      await startAdmitted(parts, { insightId: agenda.insightId, most: 25 });
      await claimed(agenda, (await handleOf(agenda).describe()).runId);
    }
    await environment.client.workflowService.pauseWorkflowExecution({
      ...{
        namespace: 'default',
        workflowId: plainNames.agendaWorkflow(paused.agendaId),
        requestId: freshId('pause'),
        reason: 'by hand',
      },
    });
    expect(await statusOf(paused)).toBe('PAUSED');
    const { runId } = await handleOf(paused).describe();
    await handleOf(gone).terminate();
    // Those that were quiet longest are looked at first.
    await sweepUntil(async () => (await stateOf(gone))?.state === 'COMPLETE');
    expect(await stateOf(paused)).toMatchObject({ state: 'WAITING', held: true });
    expect(await claimOf(paused)).toEqual({ runId });
  });

  test('gives an outcome to what ended under a version without outcomes', async () => {
    const agenda = await admitted(await addInsight(database));
    const { $client: sql } = database;
    await sql`delete from running_agenda where agenda_id = ${agenda.agendaId}`;
    await sql`
      update agenda_progress set processing_state = 'COMPLETE', processing_state_message = 'failed'
      where agenda_id = ${agenda.agendaId}`;
    await sweepUntil(async () => {
      const [row] = await sql`
        select g.outcome, p.outcome as operation from agenda_progress g join operation_progress p using (agenda_id)
        where agenda_id = ${agenda.agendaId}`;
      return row?.['outcome'] === 'failed' && row['operation'] === 'skipped';
    });
  });

  test('tells a workflow of a cancel that was asked for', async () => {
    const insight = await addInsight(database);
    const agenda = await admitted(insight);
    await startAdmitted(parts, { insightId: insight.insightId, most: 25 });
    await database.$client`update agenda set cancel_requested_time = clock_timestamp() where id = ${agenda.agendaId}`;
    const told = async () => {
      const { events } = await handleOf(agenda).fetchHistory();
      return events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes != null) ?? false;
    };
    await sweepUntil(told);
  });

  test('wakes an Insight with waiting Agendas whose wake was lost', async () => {
    const insight = await addInsight(database);
    await addAgenda(database, insight);
    const admission = environment.client.workflow.getHandle(`admission-${insight.insightId}`);
    await sweepUntil(async () => {
      try {
        return (await admission.describe()).status.name === 'RUNNING';
      } catch {
        // Not started yet.
        return false;
      }
    });
  });
});

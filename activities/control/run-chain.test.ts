/**
 * Runs of one chain, on Temporal's dev server with the record in Postgres: continued as new, reset, waiting; and what
 * their histories hold.
 */
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { maximumNameLength, maximumOperations } from '../../agenda/types.ts';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { finishOperations } from '../../db/operation/finish-operations.ts';
import { startOperations } from '../../db/operation/start-operations.ts';
import { runStateOf } from '../../temporal/run-state.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, freshId, type TestAgenda } from '../../test/support/test-records.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../../test/support/workflow-environment.ts';
import { runSweeper } from '../../workers/sweeper.ts';
import type { OperationKey, PoolActivities } from '../../workflows/activities.ts';
import { plainNames } from '../../workflows/names.ts';
import { controlActivities } from './activities.ts';
import { loadPlan } from './load-plan.ts';
import type { ControlParts } from './parts.ts';
import { startAdmitted } from './start-admitted.ts';

let database: TestDatabase;
let environment: WorkflowEnvironment;
let parts: ControlParts;

beforeAll(async () => {
  [database, environment] = await Promise.all([testDatabase(), realWorkflowEnvironment()]);
  parts = {
    database,
    client: environment.client,
    log: pino({ level: 'silent' }),
    settings: { heartbeatSeconds: 5, cancelSeconds: 5, quietSeconds: 0.001, sweepSeconds: 0.05, admissionsDays: 30 },
    wake: () => undefined,
  };
});
afterAll(async () => {
  await Promise.all([environment[Symbol.asyncDispose](), database[Symbol.asyncDispose]()]);
});

const workflowsIn = (file: string) => fileURLToPath(new URL(`../../test/support/${file}`, import.meta.url));
const handleOf = ({ agendaId }: TestAgenda, runId?: string) =>
  environment.client.workflow.getHandle(plainNames.agendaWorkflow(agendaId), runId);

async function started(operations: Parameters<typeof addAgenda>[2]): Promise<TestAgenda> {
  const insight = await addInsight(database);
  const agenda = await addAgenda(database, insight, operations);
  await admitBatch(database, { insightId: insight.insightId, batchId: freshId('batch') });
  return agenda;
}
const start = ({ insightId }: TestAgenda) => startAdmitted(parts, { insightId, most: 1 });

const stateOf = async ({ agendaId }: TestAgenda) => {
  const [row] = await database.$client<{ state: string; message: string }[]>`
    select processing_state as state, processing_state_message as message from agenda_progress
    where agenda_id = ${agendaId}`;
  return `${row?.state} ${row?.message}`;
};
const claimOf = async ({ agendaId }: TestAgenda) => {
  const [row] = await database.$client<{ agendaId: string; attempt: number; runId: string | null }[]>`
    select agenda_id as "agendaId", attempt, run_id as "runId",
      workflow_id as "workflowId", first_run_id as "firstRunId"
    from running_agenda where agenda_id = ${agendaId}`;
  if (row === undefined) throw new Error('the attempt has ended');
  return row;
};

/** A pool worker that keeps to the record, and remembers in order which launches it began. */
function poolOf({ resourcePoolId }: TestAgenda, during: (operation: string) => Promise<void> = async () => undefined) {
  const launches: string[] = [];
  const ends = new Map<string, Promise<void>>();
  const activities: Omit<PoolActivities, 'reapPods'> = {
    async runOperation({ agendaId, attempt, operation }: OperationKey) {
      const key = { agendaId, attempt, operation };
      const { verdicts } = await startOperations(database, resourcePoolId, [{ ...key, place: 'here', worker: 'w' }]);
      const [answer] = verdicts;
      if (answer?.verdict !== 'run') return;
      const { launch, operationAttempt } = answer;
      const name = `${operation} ${launch}`;
      const run = async () => {
        launches.push(name);
        await during(operation);
        await finishOperations(database, resourcePoolId, [{ ...key, operationAttempt, launch, outcome: 'succeeded' }]);
      };
      // A launch that runs already is adopted.
      const end = ends.get(name) ?? run();
      ends.set(name, end);
      await end;
    },
    stopOperation: async () => ({ stopped: true }),
  };
  return { activities, launches };
}

/** Sweeps all the time while the body runs: each started Agenda is looked at again and again. */
async function whileSwept(body: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const sweeping = runSweeper(parts, stop.signal);
  await body().finally(() => stop.abort());
  await sweeping;
}
/** Waits until the sweep has looked at it after now. */
async function untilSwept({ agendaId }: TestAgenda): Promise<void> {
  const seen = async () =>
    (
      await database.$client<
        { time: Date }[]
      >`select seen_time as time from running_agenda where agenda_id = ${agendaId}`
    )[0]?.time;
  for (let times = 0; times < 3; times++) {
    const before = await seen();
    await expect.poll(seen, { timeout: 20_000, interval: 20 }).not.toEqual(before);
  }
}

describe('a reset of the workflow of a running Agenda', () => {
  /** Resets to the end of its first or its latest workflow task. */
  async function reset(agenda: TestAgenda, which: 'first' | 'latest'): Promise<string> {
    const { runId } = await handleOf(agenda).describe();
    const { events } = await handleOf(agenda).fetchHistory();
    const tasks = events?.filter((event) => event.workflowTaskCompletedEventAttributes != null) ?? [];
    const task = which === 'first' ? tasks[0] : tasks.at(-1);
    const answer = await environment.client.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: plainNames.agendaWorkflow(agenda.agendaId), runId },
      workflowTaskFinishEventId: task?.eventId ?? null,
      requestId: freshId('reset'),
      reason: 'by hand',
    });
    return answer.runId;
  }

  test.each(['first', 'latest'] as const)(
    'to its %s task ends the Agenda as if there had been none, each Operation once',
    async (which) => {
      const agenda = await started({
        operations: [{ name: 'a' }, { name: 'b', dependencies: [0] }, { name: 'c', dependencies: [1] }],
      });
      const gate = Promise.withResolvers<void>();
      const pool = poolOf(agenda, async (operation) => (operation === 'b' ? gate.promise : undefined));
      const queues = {
        [plainNames.controlQueue]: controlActivities(parts),
        [plainNames.poolQueue(agenda.resourcePoolId)]: pool.activities,
      };
      await environment.run(queues, () =>
        whileSwept(async () => {
          await start(agenda);
          await expect.poll(() => pool.launches, { timeout: 20_000 }).toEqual(['a 1', 'b 1']);
          // The end of `a` is in the history, so that the latest task is one after the claim.
          const runId = await reset(agenda, which);
          await untilSwept(agenda);
          const { attempt, agendaId } = agenda;
          const other = {
            runId: freshId('run'),
            workflowId: plainNames.agendaWorkflow(agendaId),
            firstRunId: freshId('run'),
          };
          expect(await loadPlan(parts, { agendaId, attempt, ...other })).toMatchObject({ verdict: 'over' });
          gate.resolve();
          await handleOf(agenda, runId).result();
        }),
      );
      expect(await stateOf(agenda)).toBe('COMPLETE succeeded');
      expect(pool.launches).toEqual(['a 1', 'b 1', 'c 1']);
    },
  );
});

test('a workflow that continues as new keeps its claim and ends the Agenda', async () => {
  const agenda = await started({ operations: [{ name: 'only' }] });
  const gate = Promise.withResolvers<void>();
  const pool = poolOf(agenda, () => gate.promise);
  const queues = { [plainNames.controlQueue]: controlActivities(parts), continuing: pool.activities };
  const workflowsPath = workflowsIn('continuing-workflow.ts');
  const run = async () => {
    await start(agenda);
    await expect.poll(() => pool.launches, { timeout: 20_000 }).toEqual(['only 1']);
    const { runId } = await claimOf(agenda);
    const first = await handleOf(agenda, runId ?? '').describe();
    expect(first.status.name).toBe('CONTINUED_AS_NEW');
    await untilSwept(agenda);
    expect(await runStateOf(environment.client, await claimOf(agenda))).toBe('open');
    gate.resolve();
    await handleOf(agenda).result();
  };
  await environment.run(queues, () => whileSwept(run), { workflowsPath });
  expect(await stateOf(agenda)).toBe('COMPLETE succeeded');
});

describe('a workflow without a task or an activity before it', () => {
  test.each([
    ['sleeping-workflow.ts', 'that waits for a timer is open', 'open'],
    ['stalled-workflow.ts', 'that waits for nothing is stalled', 'stalled'],
  ] as const)('%s: one %s', async (file, _, state) => {
    const agenda = await started({});
    await start(agenda);
    const { runId } = await handleOf(agenda).describe();
    const waits = async () => (await handleOf(agenda).describe()).raw.pendingWorkflowTask == null;
    const untilItWaits = () => expect.poll(waits, { timeout: 20_000, interval: 50 }).toBe(true);
    await environment.run({ [plainNames.controlQueue]: {} }, untilItWaits, { workflowsPath: workflowsIn(file) });
    const { agendaId, attempt } = agenda;
    expect(await runStateOf(environment.client, { agendaId, attempt, runId })).toBe(state);
    expect(await runStateOf(environment.client, { agendaId, attempt, runId: null })).toBe(state);
    await handleOf(agenda).terminate();
  });
});

test('no payload in the history of the largest Agenda there may be comes near the limits of Temporal', async () => {
  const left = 12;
  const agenda = await started({
    operations: Array.from({ length: maximumOperations }, (_, index) => ({
      name: `${index}-`.padEnd(maximumNameLength, 'x'),
      dependencies: [...Array(index).keys()],
    })),
  });
  await database.$client`
    update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'succeeded'
    where agenda_id = ${agenda.agendaId} and index < ${maximumOperations - left}`;
  const pool = poolOf(agenda);
  const queues = {
    [plainNames.controlQueue]: controlActivities(parts),
    [plainNames.poolQueue(agenda.resourcePoolId)]: pool.activities,
  };
  const bytes: number[] = [];
  await environment.run(queues, async () => {
    await start(agenda);
    await handleOf(agenda).result();
    JSON.parse(historyToJSON(await handleOf(agenda).fetchHistory()), (key, value: unknown) => {
      if (key === 'data' && typeof value === 'string') bytes.push(Buffer.from(value, 'base64').length);
      return value;
    });
  });
  expect(pool.launches).toHaveLength(left);
  expect(await stateOf(agenda)).toBe('COMPLETE succeeded');
  expect(Math.max(...bytes)).toBeLessThan(160 * 1024);
  // The plan did pass through this history, in pieces.
  expect(bytes.filter((size) => size > 64 * 1024).length).toBeGreaterThanOrEqual(3);
}, 60_000);

/**
 * A system of version 0.1.0 ends in the middle of its work, and one of this version goes on with its database and its
 * workflows. Its rows are loaded as they were recorded, at the schema of then. Temporal takes no history from outside,
 * so that version's own workflow is run to the point where it was recorded, with the answers that its activities gave.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrateDatabase, readMigrations } from '../../db/migrate.ts';
import { startPostgres } from '../../machine/embedded-postgres.ts';
import { freePort } from '../../machine/free-port.ts';
import { System } from '../../machine/system.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import { agendaWorkflowType, plainNames } from '../../workflows/names.ts';
import { answersOf, happenings, loadRows, readEvents } from '../support/recorded-system.ts';
import { until } from '../support/until.ts';

const version = '0.1.0';
/** Of that version; later ones run over the rows that are there. */
const migrationsOfThen = 5;
const titles = ['failed', 'blocker', 'middle', 'cancelled', 'unstarted', 'waiting'] as const;
type Title = (typeof titles)[number];

let home: string;
let system: System;
let sql: postgres.Sql;
let connection: Connection;
let client: Client;
const agendas = new Map<string, { agendaId: string; progressId: string }>();

beforeAll(async () => {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  home = await mkdtemp(join(tmpdir(), 'pop-upgrade-'));
  const registry = join(home, 'registry.json');
  const bearing = (script: string) => ({
    podConfig: { command: ['sh', '-c', `echo "$OPERATION_NAME" >> "$WITNESS"; ${script}`] },
  });
  const types = {
    basePodConfig: { graceSeconds: 2, envVars: { GATES: home, WITNESS: join(home, 'witness') } },
    quick: bearing('true'),
    gated: bearing('until [ -e "$GATES/$OPERATION_NAME" ]; do sleep 0.1; done'),
  };
  await writeFile(registry, JSON.stringify(types));
  await databaseOfThen();
  const environment = {
    ...{ POP_HEARTBEAT_SECONDS: '3', POP_CANCEL_SECONDS: '20', POP_QUIET_SECONDS: '4', POP_SWEEP_SECONDS: '1' },
  };
  system = await System.start({ home, registry, environment, without: ['control', 'pool'] });
  sql = postgres(system.urls.database, { max: 2 });
  connection = await Connection.connect({ address: system.urls.temporal });
  client = new Client({ connection });
  const rows = await sql<{ title: string; agendaId: string; progressId: string }[]>`
    select title, agenda_id as "agendaId", id as "progressId" from agenda_progress`;
  for (const { title, ...ids } of rows) agendas.set(title, ids);
});
afterAll(async () => {
  await sql?.end({ timeout: 1 });
  await connection?.close();
  await system?.stopAll();
  await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

/** The database as that version left it, where the system of this version will find it. */
async function databaseOfThen(): Promise<void> {
  await using server = await startPostgres({
    dataDirectory: join(home, 'data', 'postgres'),
    port: await freePort(0),
    logFile: join(home, 'postgres.log'),
  });
  await server.ensureDatabase('pop');
  const url = server.url('pop');
  await migrateDatabase(url, readMigrations().slice(0, migrationsOfThen));
  await loadRows(version, url);
}

const idsOf = (title: Title) => {
  const ids = agendas.get(title);
  if (ids === undefined) throw new Error(`there is no Agenda ${title}`);
  return ids;
};
const workflowOf = (title: Title) => client.workflow.getHandle(plainNames.agendaWorkflow(idsOf(title).agendaId));

/**
 * Brings the workflow of an Agenda to where it was recorded: its first Operation has ended, its second runs. Then its
 * worker ends.
 */
async function bringTo(title: 'middle' | 'cancelled'): Promise<void> {
  const { agendaId } = idsOf(title);
  const events = await readEvents(version, title);
  const answers = answersOf(events);
  const answer = async () => answers.shift()?.answer;
  const native = await NativeConnection.connect({ address: system.urls.temporal });
  const workflowsPath = fileURLToPath(new URL('../history/released/agenda-workflow.ts', import.meta.url));
  const control = await Worker.create({
    ...{ connection: native, taskQueue: plainNames.controlQueue, workflowsPath },
    activities: { loadPlan: answer, settleOperations: answer },
  });
  const pool = await Worker.create({
    ...{ connection: native, taskQueue: plainNames.poolQueue(system.poolId) },
    activities: {
      async runOperation({ operation }: OperationKey): Promise<void> {
        if (operation.endsWith('-first')) return;
        const { heartbeat, cancelled } = Context.current();
        const beating = setInterval(heartbeat, 100);
        await cancelled.catch(() => undefined).finally(() => clearInterval(beating));
        throw new Error('this worker goes away');
      },
    },
  });
  const brought = async (): Promise<void> => {
    const { firstExecutionRunId: runId } = await client.workflow.start(agendaWorkflowType, {
      ...{ workflowId: plainNames.agendaWorkflow(agendaId), taskQueue: plainNames.controlQueue },
      args: [{ agendaId, attempt: 1 }],
      memo: { attempt: 1 },
    });
    await sql`update running_agenda set run_id = ${runId} where agenda_id = ${agendaId}`;
    await until('its second Operation runs', async () => {
      const [pending] = (await workflowOf(title).describe()).raw.pendingActivities ?? [];
      return pending?.activityId === `run:${title}-second` && pending.state === 2;
    });
  };
  await control.runUntil(pool.runUntil(brought()));
  await native.close();
  if (title === 'cancelled') await workflowOf(title).cancel();
  const { events: now } = await workflowOf(title).fetchHistory();
  expect(happenings(now ?? [])).toEqual(happenings(events));
}

interface AgendaProgress {
  readonly processingState: string;
  readonly processingStateMessage: string;
  readonly diagnosticEvents: readonly { readonly message: string }[];
}

/** How an Agenda ended, as the api says it. */
async function endOf(title: Title): Promise<AgendaProgress> {
  return until(`${title} has ended`, async () => {
    const response = await fetch(`${system.urls.api}/progress/agenda/${idsOf(title).progressId}`, {
      headers: { authorization: `Bearer ${system.keys.operator}` },
    });
    const progress = (await response.json()) as AgendaProgress;
    if (!response.ok) throw new Error(JSON.stringify(progress));
    return progress.processingState === 'COMPLETE' && progress;
  });
}

test('what version 0.1.0 began is ended by this version, each Operation once', async () => {
  for (const title of ['middle', 'cancelled'] as const) await bringTo(title);
  await writeFile(join(home, 'middle-second'), '');
  await Promise.all([system.start('control'), system.start('pool')]);

  const ends = new Map<Title, AgendaProgress>();
  for (const title of titles) ends.set(title, await endOf(title));
  expect(
    Object.fromEntries([...ends].map(([title, { processingStateMessage }]) => [title, processingStateMessage])),
  ).toEqual({
    ...{ failed: 'failed', blocker: 'succeeded', middle: 'succeeded', cancelled: 'cancelled' },
    ...{ unstarted: 'succeeded', waiting: 'succeeded' },
  });
  expect(JSON.stringify(ends.get('failed')?.diagnosticEvents)).toContain('The handler ended with exit code 3.');

  // The handler of `middle-second` was on a machine that is gone: it ran again there, as a new launch. What had ended
  // did not.
  const ran = (await readFile(join(home, 'witness'), 'utf8')).trim().split('\n');
  expect(ran.filter((name) => !name.startsWith('cancelled')).toSorted()).toEqual(
    ['middle-second', 'middle-third', 'unstarted-only', 'waiting-only'].toSorted(),
  );
  expect(ran.filter((name) => name.startsWith('cancelled')).every((name) => name === 'cancelled-second')).toBe(true);
  const operations = await sql<{ operation: string; message: string; launch: number }[]>`
    select operation, processing_state_message as message, launch from operation_progress
    where operation like 'middle%' order by index`;
  expect([...operations]).toEqual([
    { operation: 'middle-first', message: 'succeeded', launch: 1 },
    { operation: 'middle-second', message: 'succeeded', launch: 2 },
    { operation: 'middle-third', message: 'succeeded', launch: 1 },
  ]);
  expect((await workflowOf('middle').describe()).status.name).toBe('COMPLETED');
  const held = await sql`select agenda_id from running_agenda union all select agenda_id from ready_agenda`;
  expect([...held]).toEqual([]);
});

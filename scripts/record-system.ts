/**
 * Records what a system of some version leaves behind in the middle of its work, for the test of upgrades from it
 * (`test/faults/upgrade.test.ts`): the rows of every table as COPY text, and the histories of the workflows that are
 * open.
 *
 *   node scripts/record-system.ts <checkout> <folder>
 *
 * The first is a checkout of that version with its node_modules, the second is where the files go.
 *
 * `test/history/upgrade-0.1.0/` is of commit b18707a. A recording stays as it is: it is of a version that no longer
 * changes. This script starts that version's own programs from its own checkout and speaks to them as any client does,
 * so it may change.
 *
 *   failed      ended: its first Operation failed, its second never ran
 *   blocker     ended: succeeded
 *   middle      an Operation ended, one runs, one has not begun
 *   cancelled   as middle, and its cancel was requested
 *   unstarted   admitted, its workflow not started
 *   waiting     not admitted yet
 *
 * Keys are left out.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import postgres from 'postgres';

/** What this script uses of that version's whole system. */
interface SystemOfThen extends AsyncDisposable {
  readonly urls: { readonly api: string; readonly temporal: string; readonly database: string };
  readonly keys: { readonly operator: string };
  stop(part: 'control'): Promise<void>;
}
type Start = (options: { home: string; registry: string }) => Promise<SystemOfThen>;

const [checkout = '', folder = ''] = process.argv.slice(2).map((path) => resolve(path));
if (folder === '') throw new Error('usage: node scripts/record-system.ts <checkout> <folder>');

const home = await mkdtemp(join(tmpdir(), 'pop-record-'));
const registry = join(home, 'registry.json');
const shell = (script: string) => ({ podConfig: { command: ['sh', '-c', script] } });
const types = {
  basePodConfig: { graceSeconds: 2, envVars: { GATES: home } },
  quick: shell('true'),
  failing: shell('exit 3'),
  gated: shell('until [ -e "$GATES/$OPERATION_NAME" ]; do sleep 0.1; done'),
};
await writeFile(registry, JSON.stringify(types));

/** The sweep looks at nothing, and what that version's workflows remember of their limits is short. */
const environment = { POP_QUIET_SECONDS: '600', POP_HEARTBEAT_SECONDS: '5', POP_CANCEL_SECONDS: '20' };
await using system = await (await startOf(checkout))({ home, registry });
const sql = postgres(system.urls.database, { max: 2 });
const connection = await Connection.connect({ address: system.urls.temporal });
const { workflow } = new Client({ connection });

await post('/resourcepool', { id: 'local', customerId: 'upgrade', title: 'Upgrade', capacity: { slots: 3 } });
await post('/customer', { id: 'upgrade', customerId: 'upgrade', title: 'Upgrade', resourcePoolId: 'local' });
const insight = { id: 'upgrade-insight', customerId: 'upgrade', title: 'Upgrade', resourcePoolId: 'local' };
await post('/insight', { ...insight, mappers: { always: [] }, maximumRunning: 3 });

const then = (name: string, type: string, ...dependsOn: string[]) => ({ name, type, payload: { name }, dependsOn });
const failed = await submit('failed', [then('breaks', 'failing'), then('never', 'quick', 'breaks')]);
await until('failed has ended', () => stateIs(failed, 'COMPLETE'));
const inTheMiddle = (name: string) => [
  then(`${name}-first`, 'quick'),
  then(`${name}-second`, 'gated', `${name}-first`),
  then(`${name}-third`, 'quick', `${name}-second`),
];
const middle = await submit('middle', inTheMiddle('middle'));
const cancelled = await submit('cancelled', inTheMiddle('cancelled'));
const blocker = await submit('blocker', [then('blocker-only', 'gated')]);
const running = async () =>
  (await sql`select from operation_progress where processing_state = 'EXECUTING'`).length === 3 &&
  (await sql`select from operation_progress where processing_state_message = 'succeeded'`).length === 2;
await until('three Operations run', running);
const unstarted = await submit('unstarted', [then('unstarted-only', 'quick')]);
await submit('waiting', [then('waiting-only', 'quick')]);
// A workflow of this id that is not of the attempt: the admitted Agenda has to wait until it is gone.
await workflow.start('another', { workflowId: `agenda-${unstarted}`, taskQueue: 'nobody', args: [] });
await writeFile(join(home, 'blocker-only'), '');
await until('blocker has ended', () => stateIs(blocker, 'COMPLETE'));
await until('unstarted is admitted', async () => {
  const [row] = await sql<
    { started_time: Date | null }[]
  >`select started_time from running_agenda where agenda_id = ${unstarted}`;
  return row !== undefined && row.started_time === null;
});
await system.stop('control');
await post(`/agenda/${cancelled}/cancel`);

await mkdir(folder, { recursive: true });
const tables = await sql<{ name: string }[]>`
  select table_name as name from information_schema.tables
  where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'api_key' order by 1`;
for (const { name } of tables) {
  const columns = await sql<{ name: string }[]>`
    select column_name as name from information_schema.columns
    where table_schema = 'public' and table_name = ${name} order by ordinal_position`;
  const list = columns.map((column) => `"${column.name}"`).join(', ');
  const rows = withoutThisMachine(await text(await sql.unsafe(`copy "${name}" (${list}) to stdout`).readable()));
  if (rows !== '') await writeFile(join(folder, `${name}.copy`), `${list}\n${rows}`);
  console.log(`${name}: ${rows.split('\n').length - 1} rows`);
}
for (const [name, agendaId] of Object.entries({ middle, cancelled })) {
  const history = await workflow.getHandle(`agenda-${agendaId}`).fetchHistory();
  const json = JSON.stringify(JSON.parse(historyToJSON(history)), undefined, 1);
  await writeFile(join(folder, `agenda-${name}.json`), `${withoutThisMachine(json)}\n`);
  console.log(`agenda-${name}: ${history.events?.length ?? 0} events`);
}
for (const name of ['middle-second', 'cancelled-second']) await writeFile(join(home, name), '');
await sql.end();
await connection.close();
await system[Symbol.asyncDispose]();
await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });

async function startOf(root: string): Promise<Start> {
  for (const file of ['machine/system.ts', 'cli/system.ts']) {
    try {
      const { System } = await import(pathToFileURL(join(root, file)).href);
      return (options) => System.start({ ...options, environment });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error(`${root} is no checkout with a whole system`);
}

async function post(path: string, body: unknown = {}): Promise<{ id: string }> {
  const response = await fetch(`${system.urls.api}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.keys.operator}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${answer}`);
  return JSON.parse(answer) as { id: string };
}

async function submit(title: string, operations: readonly unknown[]): Promise<string> {
  return (await post('/agenda', { customerId: 'upgrade', title, operations })).id;
}

async function stateIs(agendaId: string, state: string): Promise<boolean> {
  return (
    (await sql`select from agenda_progress where agenda_id = ${agendaId} and processing_state = ${state}`).length === 1
  );
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  for (const giveUp = Date.now() + 120_000; !(await look()); await delay(50))
    if (Date.now() > giveUp) throw new Error(`After two minutes still not so: ${what}`);
}

/** Paths and names of the machine that recorded are no matter of the recording. */
function withoutThisMachine(content: string): string {
  return content
    .replaceAll(home, '/recorded')
    .replaceAll(`local:${hostname()}:`, 'local:recorded:')
    .replaceAll(`@${hostname()}`, '@recorded')
    .replaceAll(new RegExp(`\\b${hostname()}:(?=\\d+:)`, 'g'), 'recorded:');
}

/**
 * Records the histories in `test/history/` that `test/replay.test.ts` replays: real runs of the workflows of this version on Temporal's
 * dev server, with activities that answer from memory.
 *
 *   node scripts/record-histories.ts [name…]      default: all
 *
 * Run it when a release changes what its workflows do, and give the new files names of their own when runs of the former
 * version may still be open: its histories stay, for a changed workflow must go on with them (`patched`).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { ScriptedAgenda } from '../test/support/scripted-agenda.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import {
  admissionTaskQueue,
  admissionWorkflowType,
  agendaWorkflowType,
  type ControlActivities,
  controlTaskQueue,
  poolTaskQueue,
  wakeSignal,
} from '../workflows/messages.ts';

const folder = fileURLToPath(new URL('../test/history/', import.meta.url));

type Recording = (environment: WorkflowEnvironment, name: string) => Promise<void>;

const diamond = [{ name: 'a' }, { name: 'b', after: ['a'] }, { name: 'c', after: ['a'] }, { name: 'd', after: ['b', 'c'] }] as const;

/** Runs until its activity hears of the cancel; what it had run is then still there. */
async function untilCancelled(): Promise<undefined> {
  const context = Context.current();
  const beating = setInterval(() => context.heartbeat(), 50);
  await context.cancelled.catch(() => undefined).finally(() => clearInterval(beating));
}

const recordings: Readonly<Record<string, Recording>> = {
  'agenda-diamond': (environment, name) => recordAgenda(environment, name, new ScriptedAgenda(diamond)),

  'agenda-failure': (environment, name) =>
    recordAgenda(
      environment,
      name,
      new ScriptedAgenda([
        { name: 'log', type: 'logMessages' },
        { name: 'bad', run: () => 'failed' },
        { name: 'never', after: ['bad'] },
      ]),
    ),

  'agenda-residents': (environment, name) =>
    recordAgenda(
      environment,
      name,
      new ScriptedAgenda([
        ...['x', 'y', 'z'].map((resident) => ({ name: resident, type: 'logMessages' })),
        { name: 'pooled' },
        { name: 'afterX', after: ['x'] },
        { name: 'afterY', type: 'logMessages', after: ['y'] },
        { name: 'end', after: ['z', 'pooled', 'afterX', 'afterY'] },
      ]),
    ),

  'agenda-cancel-with-stop': (environment, name) =>
    recordAgenda(
      environment,
      name,
      new ScriptedAgenda([
        { name: 'confirms', run: async () => untilCancelled().then(() => 'cancelled' as const) },
        { name: 'isStopped', run: untilCancelled },
        { name: 'isAbandoned', run: untilCancelled, stop: () => false },
        { name: 'never', after: ['confirms'] },
      ]),
      { cancelWhenRunning: 3 },
    ),

  'admission-ticks': recordAdmission,
};

async function recordAgenda(
  environment: WorkflowEnvironment,
  name: string,
  agenda: ScriptedAgenda,
  { cancelWhenRunning }: { cancelWhenRunning?: number } = {},
): Promise<void> {
  await environment.run({ [controlTaskQueue]: agenda.control, [poolTaskQueue('test')]: agenda.pool }, async () => {
    const handle = await environment.client.workflow.start(agendaWorkflowType, {
      ...{ workflowId: name, taskQueue: controlTaskQueue, args: [{ agendaId: name, attempt: 1 }] },
    });
    if (cancelWhenRunning !== undefined) {
      while (agenda.states.filter((state) => state === 'executing').length < cancelWhenRunning) await delay(20);
      await handle.cancel();
    }
    await handle.result();
    await write(environment, name, handle.workflowId);
  });
}

/** A full batch, starts beside it, a long list of starts, wakes that come together. */
async function recordAdmission(environment: WorkflowEnvironment, name: string): Promise<void> {
  const batches = [
    { admitted: 500, more: true, unstarted: 500 },
    { admitted: 30, more: false, unstarted: 530 },
  ];
  const starts = [
    { started: 25, remaining: 475 },
    { started: 25, remaining: 5 },
    { started: 5, remaining: 0 },
  ];
  let ticks = 0;
  const steps: Pick<ControlActivities, 'admitBatch' | 'startAdmitted' | 'startAllAdmitted'> = {
    admitBatch: async () => {
      ticks++;
      return batches.shift() ?? { admitted: 0, more: false, unstarted: 0 };
    },
    startAdmitted: async () => starts.shift() ?? { started: 0, remaining: 0 },
    startAllAdmitted: async () => ({ started: 475, remaining: 0 }),
  };
  await environment.run({ [admissionTaskQueue]: steps }, async () => {
    const handle = await environment.client.workflow.signalWithStart(admissionWorkflowType, {
      ...{ workflowId: name, taskQueue: admissionTaskQueue, args: [{ insightId: name }], signal: wakeSignal },
    });
    for (const expected of [2, 3, 4]) {
      while (ticks < expected) await delay(20);
      if (expected < 4) await Promise.all([1, 2, 3].map(() => handle.signal(wakeSignal)));
    }
    await delay(500);
    await write(environment, name, handle.workflowId);
    // Enough signals end the run: it goes on as a new one, with its ticks.
    const { runId } = await handle.describe();
    for (let sent = 0; sent < 5_000; sent += 250) await Promise.all(Array.from({ length: 250 }, () => handle.signal(wakeSignal)));
    const first = environment.client.workflow.getHandle(name, runId);
    while ((await first.describe()).status.name === 'RUNNING') await delay(100);
    console.log(`  continued as new after ${ticks} ticks`);
    await handle.terminate();
  });
}

async function write(environment: WorkflowEnvironment, name: string, workflowId: string): Promise<void> {
  const history = await environment.client.workflow.getHandle(workflowId).fetchHistory();
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(JSON.parse(historyToJSON(history)), undefined, 1)}\n`);
  console.log(`${name}: ${history.events?.length ?? 0} events`);
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(recordings, name));
if (unknown.length > 0) throw new Error(`there are no recordings ${unknown.join(', ')}; there are ${Object.keys(recordings).join(', ')}`);
await using environment = await realWorkflowEnvironment();
for (const [name, record] of Object.entries(recordings)) if (wanted.length === 0 || wanted.includes(name)) await record(environment, name);

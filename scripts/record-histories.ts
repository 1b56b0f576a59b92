/**
 * Records the histories in `test/history/` that `test/replay.test.ts` replays: real runs of the workflows of this
 * version on Temporal's dev server, with activities that answer from memory.
 *
 *   node scripts/record-histories.ts [name…]      default: those that are not there
 *
 * A history that is there stays: it is of the version that recorded it, whose runs may still be open, and a changed
 * workflow must go on with them (`patched`). A release that changes what its workflows do adds a recording with a name
 * of its own, in place of the one that only the former version could make (such as admission-ticks, of 0.1.0).
 */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { sampleView } from '../test/support/sample-view.ts';
import { ScriptedAgenda } from '../test/support/scripted-agenda.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import type { AdmitBatchAnswer, ControlActivities } from '../workflows/activities.ts';
import { wakeSignal } from '../workflows/messages.ts';
import { admissionWorkflowType, agendaWorkflowType, plainNames } from '../workflows/names.ts';

const folder = fileURLToPath(new URL('../test/history/', import.meta.url));

type Recording = (environment: WorkflowEnvironment, name: string) => Promise<void>;

const diamond = [
  { name: 'a' },
  { name: 'b', after: ['a'] },
  { name: 'c', after: ['a'] },
  { name: 'd', after: ['b', 'c'] },
] as const;

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

  // The plan comes in four pieces; one Operation has its dependencies from two of them.
  'agenda-pieces': (environment, name) =>
    recordAgenda(
      environment,
      name,
      new ScriptedAgenda(diamond, {
        pieces: [
          { operation: 1, dependency: 0 },
          { operation: 3, dependency: 0 },
          { operation: 3, dependency: 1 },
        ],
      }),
    ),

  // The activity of an Operation closes twice while the record has it waiting, and once while it has it executing.
  'agenda-begun-again': (environment, name) => {
    let closed = 0;
    const agenda: ScriptedAgenda = new ScriptedAgenda([
      {
        name: 'a',
        run: () => {
          closed++;
          if (closed <= 2) agenda.states[0] = 'waiting';
          return closed <= 3 ? undefined : 'succeeded';
        },
      },
      { name: 'b', after: ['a'] },
    ]);
    return recordAgenda(environment, name, agenda);
  },

  'admission-again': recordAdmission,
};

async function recordAgenda(
  environment: WorkflowEnvironment,
  name: string,
  agenda: ScriptedAgenda,
  { cancelWhenRunning }: { cancelWhenRunning?: number } = {},
): Promise<void> {
  await environment.run(
    { [plainNames.controlQueue]: agenda.control, [plainNames.poolQueue('test')]: agenda.pool },
    async () => {
      const handle = await environment.client.workflow.start(agendaWorkflowType, {
        ...{ workflowId: name, taskQueue: plainNames.controlQueue, args: [{ agendaId: name, attempt: 1 }] },
      });
      if (cancelWhenRunning !== undefined) {
        while (agenda.states.filter((state) => state === 'executing').length < cancelWhenRunning) await delay(20);
        await handle.cancel();
      }
      await handle.result();
      await write(environment, name, handle.workflowId);
    },
  );
}

/**
 * Shows a full batch, a long list of starts beside it, a time that comes, wakes that come before theirs, and what
 * people see.
 */
async function recordAdmission(environment: WorkflowEnvironment, name: string): Promise<void> {
  const batches: AdmitBatchAnswer[] = [
    { admitted: 500, more: true, unstarted: 500 },
    { admitted: 30, more: false, unstarted: 530, againInSeconds: 0.5 },
    { admitted: 0, more: false, unstarted: 0, againInSeconds: 600 },
  ];
  const starts = [
    { started: 25, remaining: 475 },
    { started: 25, remaining: 5 },
    { started: 5, remaining: 0 },
  ];
  let ticks = 0;
  const steps: Pick<ControlActivities, 'admitBatch' | 'startAdmitted' | 'startAllAdmitted'> = {
    admitBatch: async ({ view }) => {
      ticks++;
      return {
        ...(batches.shift() ?? { admitted: 0, more: false, unstarted: 0 }),
        ...(view === true ? { view: sampleView } : {}),
      };
    },
    startAdmitted: async () => starts.shift() ?? { started: 0, remaining: 0 },
    startAllAdmitted: async () => ({ started: 475, remaining: 0 }),
  };
  await environment.run({ [plainNames.admissionQueue]: steps }, async () => {
    const handle = await environment.client.workflow.signalWithStart(admissionWorkflowType, {
      ...{ workflowId: name, taskQueue: plainNames.admissionQueue, args: [{ insightId: name }], signal: wakeSignal },
    });
    for (const expected of [3, 4, 5]) {
      while (ticks < expected) await delay(20);
      if (expected < 5) await Promise.all([1, 2, 3].map(() => handle.signal(wakeSignal)));
    }
    await delay(500);
    await write(environment, name, handle.workflowId);
    await handle.terminate();
  });
}

async function write(environment: WorkflowEnvironment, name: string, workflowId: string): Promise<void> {
  const history = await environment.client.workflow.getHandle(workflowId).fetchHistory();
  await writeFile(
    join(folder, `${name}.json`),
    `${JSON.stringify(JSON.parse(historyToJSON(history)), undefined, 1)}\n`,
  );
  console.log(`${name}: ${history.events?.length ?? 0} events`);
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(recordings, name));
if (unknown.length > 0)
  throw new Error(`there are no recordings ${unknown.join(', ')}; there are ${Object.keys(recordings).join(', ')}`);
const there = await readdir(folder);
const missing = Object.keys(recordings).filter((name) => !there.includes(`${name}.json`));
for (const name of asked)
  if (!missing.includes(name))
    console.log(`${name}: is there and stays; a changed workflow gets a recording of another name`);
await using environment = await realWorkflowEnvironment();
for (const name of missing) if (asked.length === 0 || asked.includes(name)) await recordings[name]?.(environment, name);

import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OperationOutcome } from '../agenda/outcomes.ts';
import { ScriptedAgenda, type ScriptedSteps } from '../test/support/scripted-agenda.ts';
import { type WorkflowEnvironment, workflowEnvironment } from '../test/support/workflow-environment.ts';
import { progressQuery } from './messages.ts';
import { agendaWorkflowType, plainNames } from './names.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await workflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

let count = 0;
const newId = () => `agenda-${++count}`;
const start = (workflowId: string): Promise<WorkflowHandle> =>
  environment.client.workflow.start(agendaWorkflowType, {
    workflowId,
    taskQueue: plainNames.controlQueue,
    args: [{ agendaId: workflowId, attempt: 1 }],
  });
const cancel = async (workflowId: string): Promise<void> => {
  await environment.client.workflow.getHandle(workflowId).cancel();
};

/** Walks the Agenda to its end and answers what was called; `steps` replaces single steps of the control worker. */
async function walk(
  agenda: ScriptedAgenda,
  { steps = {}, id = newId(), pool = true }: { steps?: Partial<ScriptedSteps>; id?: string; pool?: boolean } = {},
) {
  const queues = {
    [plainNames.controlQueue]: { ...agenda.control, ...steps },
    ...(pool ? { [plainNames.poolQueue('test')]: agenda.pool } : {}),
  };
  await environment.run(queues, async () => {
    const handle = await start(id);
    await handle.result();
  });
  return agenda.calls;
}

/** Something to wait for. */
function gate(): { open: () => void; passed: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, passed: promise };
}

/** Waits until an activity hears that it is cancelled, as one that runs a handler does. */
async function hearOfCancel(): Promise<void> {
  const context = Context.current();
  const beating = setInterval(() => context.heartbeat(), 50);
  await context.cancelled.catch(() => undefined).finally(() => clearInterval(beating));
}

async function cancelAndHear(workflowId: string): Promise<void> {
  await cancel(workflowId);
  await hearOfCancel();
}

const finishes = (calls: readonly string[]) => calls.filter((call) => call.startsWith('finish'));

describe('walking', () => {
  test('a diamond runs in the order of its dependencies and succeeds', async () => {
    const agenda = new ScriptedAgenda([
      { name: 'd', after: ['b', 'c'] },
      { name: 'b', after: ['a'] },
      { name: 'c', after: ['a'] },
      { name: 'a' },
    ]);
    const calls = await walk(agenda);
    const order = calls.filter((call) => call.startsWith('run'));
    expect(order[0]).toBe('run a');
    expect(order.slice(1, 3).toSorted()).toEqual(['run b', 'run c']);
    expect(order[3]).toBe('run d');
    expect(finishes(calls)).toEqual(['finish succeeded']);
  });

  test('a pool is told the type of each Operation', async () => {
    const agenda = new ScriptedAgenda([
      { name: 'a', type: 'transcode' },
      { name: 'b', type: 'package', after: ['a'] },
    ]);
    await walk(agenda);
    expect(agenda.asked.map(({ operation, type }) => [operation, type])).toEqual([
      ['a', 'transcode'],
      ['b', 'package'],
    ]);
  });

  test('an Operation starts when its own dependencies are done, whatever else still runs: no levels', async () => {
    const second = gate();
    const agenda = new ScriptedAgenda([
      {
        name: 'slow',
        run: async () => {
          await second.passed;
          return 'succeeded' as const;
        },
      },
      { name: 'first' },
      {
        name: 'second',
        after: ['first'],
        run: () => {
          second.open();
          return 'succeeded' as const;
        },
      },
    ]);
    expect(finishes(await walk(agenda))).toEqual(['finish succeeded']);
  });

  test('after a failure nothing new starts, what runs finishes, and the Agenda fails by name', async () => {
    const failed = gate();
    const agenda = new ScriptedAgenda([
      { name: 'bad', run: () => 'failed' },
      {
        name: 'sibling',
        run: async () => {
          await failed.passed;
          return 'succeeded' as const;
        },
      },
      { name: 'afterSibling', after: ['sibling'] },
      { name: 'afterBad', after: ['bad'] },
    ]);
    const settleOperations: ScriptedSteps['settleOperations'] = async (input) => {
      const settled = await agenda.control.settleOperations(input);
      failed.open();
      return settled;
    };
    const calls = await walk(agenda, { steps: { settleOperations } });
    expect(agenda.states).toEqual(['failed', 'succeeded', 'waiting', 'waiting']);
    expect(finishes(calls)).toEqual(['finish failed (Failed to complete operation: bad)']);
  });

  test('parallelism bounds what is in flight, and is used', async () => {
    let now = 0;
    let most = 0;
    const two = gate();
    const run = async () => {
      most = Math.max(most, ++now);
      if (now === 2) two.open();
      await two.passed;
      now--;
      return 'succeeded' as const;
    };
    const agenda = new ScriptedAgenda(
      ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, run })),
      { parallelism: 2 },
    );
    expect(finishes(await walk(agenda))).toEqual(['finish succeeded']);
    expect(most).toBe(2);
  });

  test('a second run goes on where the record is', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a' }, { name: 'b', after: ['a'] }], {
      ended: [{ index: 0, outcome: 'succeeded' }],
    });
    expect((await walk(agenda)).filter((call) => call.startsWith('run'))).toEqual(['run b']);
  });

  test('resident types run in the control worker', async () => {
    const agenda = new ScriptedAgenda([
      { name: 'log', type: 'logMessages' },
      { name: 'b', after: ['log'] },
    ]);
    expect((await walk(agenda)).filter((call) => /^(resident|run) /.test(call))).toEqual(['resident log', 'run b']);
  });

  test('a plan in pieces is walked as a whole, cut between Operations or within the dependencies of one', async () => {
    const agenda = new ScriptedAgenda(
      [
        { name: 'd', after: ['a', 'b', 'c'] },
        { name: 'c', after: ['b'] },
        { name: 'b', after: ['a'] },
        { name: 'a' },
        { name: 'e', after: ['d'] },
      ],
      {
        ended: [{ index: 3, outcome: 'succeeded' }],
        pieces: [
          { operation: 0, dependency: 1 },
          { operation: 0, dependency: 2 },
          { operation: 2, dependency: 0 },
          { operation: 4, dependency: 0 },
        ],
      },
    );
    const calls = await walk(agenda);
    expect(calls.slice(0, 5)).toEqual(['load', ...['0.1', '0.2', '2.0', '4.0'].map((from) => `load from ${from}`)]);
    expect(calls.filter((call) => call.startsWith('run'))).toEqual(['run b', 'run c', 'run d', 'run e']);
    expect(finishes(calls)).toEqual(['finish succeeded']);
  });

  test('an attempt that is over before its plan is whole is not touched', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a' }, { name: 'b' }], { pieces: [{ operation: 1, dependency: 0 }] });
    const loadPlanPiece: ScriptedSteps['loadPlanPiece'] = async () => undefined;
    expect(await walk(agenda, { steps: { loadPlanPiece } })).toEqual(['load']);
  });

  test('the progress is there to be asked for', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a' }, { name: 'b', run: () => 'failed' }, { name: 'c', after: ['b'] }]);
    const id = newId();
    await environment.run(
      { [plainNames.controlQueue]: agenda.control, [plainNames.poolQueue('test')]: agenda.pool },
      async () => {
        const handle = await start(id);
        await handle.result();
        expect(await handle.query(progressQuery)).toEqual({
          counts: { failed: 1, waiting: 1, succeeded: 1 },
          operations: [
            { name: 'a', state: 'succeeded' },
            { name: 'b', state: 'failed' },
            { name: 'c', state: 'waiting' },
          ],
          more: 0,
        });
      },
    );
  });
});

describe('the record decides', () => {
  test('an attempt that is over is not touched', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a' }]);
    const loadPlan: ScriptedSteps['loadPlan'] = async () => ({ verdict: 'over', reason: 'another run' });
    expect(await walk(agenda, { steps: { loadPlan } })).toEqual([]);
  });

  test('an attempt that is over when an Operation ends is left alone', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a' }, { name: 'b', after: ['a'] }]);
    const settleOperations: ScriptedSteps['settleOperations'] = async () => undefined;
    expect(await walk(agenda, { steps: { settleOperations } })).toEqual(['load', 'run a']);
  });

  test('an activity that closed without an ending in the record is begun again', async () => {
    let closed = 0;
    const agenda = new ScriptedAgenda([{ name: 'a', run: () => (++closed < 3 ? undefined : 'succeeded') }]);
    expect(await walk(agenda)).toEqual([
      'load',
      'run a',
      'settle a',
      'run a',
      'settle a',
      'run a',
      'settle a',
      'finish succeeded',
    ]);
  });

  test('an activity that closes without an ending in the record again and again fails its Operation', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a', run: () => undefined }]);
    const calls = await walk(agenda);
    expect(calls.filter((call) => call === 'run a')).toHaveLength(4);
    expect(calls).toContain('settle a without failed (No progress was reported.)');
    expect(agenda.states).toEqual(['failed']);
  });

  test('an activity that closes while its Operation waits is begun again without end', async () => {
    let closed = 0;
    const agenda = new ScriptedAgenda([
      {
        name: 'a',
        run: () => {
          if (++closed === 12) return 'succeeded';
          agenda.states[0] = 'waiting';
          return undefined;
        },
      },
    ]);
    const id = newId();
    const calls = await walk(agenda, { id });
    expect(calls.filter((call) => call === 'run a')).toHaveLength(12);
    expect(finishes(calls)).toEqual(['finish succeeded']);
    const { events } = await environment.client.workflow.getHandle(id).fetchHistory();
    const waits = events?.flatMap(({ timerStartedEventAttributes: timer }) =>
      timer == null ? [] : [Number(timer.startToFireTimeout?.seconds)],
    );
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  test('a cancel while an Operation waits to be begun again ends the Agenda', async () => {
    const id = newId();
    const agenda = new ScriptedAgenda([
      {
        name: 'a',
        run: () => {
          agenda.states[0] = 'waiting';
          return undefined;
        },
      },
    ]);
    const settleOperations: ScriptedSteps['settleOperations'] = async (input) => {
      if (agenda.calls.filter((call) => call === 'run a').length === 3) await cancel(id);
      return agenda.control.settleOperations(input);
    };
    const calls = await walk(agenda, { id, steps: { settleOperations } });
    expect(finishes(calls)).toEqual(['finish cancelled']);
    expect(calls.filter((call) => call === 'run a')).toHaveLength(3);
  });

  test('the fault of an activity becomes that of its Operation', async () => {
    const run = () => {
      throw ApplicationFailure.nonRetryable('no such place');
    };
    const agenda = new ScriptedAgenda([{ name: 'a', run }]);
    const calls = await walk(agenda);
    expect(calls).toContain('settle a without failed (ApplicationFailure: no such place)');
    expect(finishes(calls)).toEqual(['finish failed (Failed to complete operation: a)']);
  });

  test('a fault of a moment is tried again', async () => {
    let tries = 0;
    const run = () => {
      if (++tries < 3) throw new Error('not now');
      return 'succeeded' as const;
    };
    expect(finishes(await walk(new ScriptedAgenda([{ name: 'a', run }])))).toEqual(['finish succeeded']);
    expect(tries).toBe(3);
  });
});

describe('cancelling', () => {
  test('before the start, from the record, runs nothing', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a' }]);
    const loadPlan: ScriptedSteps['loadPlan'] = async () => ({ verdict: 'cancelled', plan: agenda.plan });
    expect(await walk(agenda, { steps: { loadPlan } })).toEqual(['finish cancelled']);
  });

  test('before the first task, from the Web UI, is written down and runs nothing', async () => {
    const agenda = new ScriptedAgenda([{ name: 'a' }]);
    const handle = await start(newId());
    await handle.cancel();
    await environment.run(
      { [plainNames.controlQueue]: agenda.control, [plainNames.poolQueue('test')]: agenda.pool },
      () => handle.result(),
    );
    expect(agenda.calls).toEqual(['load', 'request cancel', 'finish cancelled']);
  });

  test('while Operations run starts nothing more, takes their endings and ends cancelled', async () => {
    const id = newId();
    const run = async () => {
      await cancelAndHear(id);
      return 'cancelled' as const;
    };
    const agenda = new ScriptedAgenda([
      { name: 'a', run },
      { name: 'b', after: ['a'] },
    ]);
    const calls = await walk(agenda, { id });
    expect(agenda.states).toEqual(['cancelled', 'waiting']);
    expect(calls.filter((call) => !call.startsWith('settle'))).toEqual([
      'load',
      'run a',
      'request cancel',
      'finish cancelled',
    ]);
  });

  test('has the pool stop what did not confirm its end', async () => {
    const id = newId();
    const run = async () => {
      await cancelAndHear(id);
      return undefined;
    };
    const agenda = new ScriptedAgenda([
      { name: 'a', run },
      { name: 'b', run, stop: () => false },
    ]);
    const calls = await walk(agenda, { id });
    expect(calls.filter((call) => call.startsWith('stop')).toSorted()).toEqual(['stop a', 'stop b']);
    expect(agenda.states).toEqual(['cancelled', 'abandoned']);
    expect(finishes(calls)).toEqual(['finish cancelled']);
  });

  test('waits no longer than cancelSeconds for a pool that does not answer, and abandons what ran there', async () => {
    const id = newId();
    const agenda = new ScriptedAgenda([{ name: 'a' }, { name: 'never' }], { cancelSeconds: 2 });
    const loadPlan: ScriptedSteps['loadPlan'] = async () => {
      // An earlier run had started it; no worker of the pool is there now.
      agenda.states[0] = 'executing';
      return { verdict: 'run', plan: agenda.plan };
    };
    const began = Date.now();
    await environment.run({ [plainNames.controlQueue]: { ...agenda.control, loadPlan } }, async () => {
      const handle = await start(id);
      await expect.poll(async () => (await handle.query(progressQuery)).operations.length).toBe(2);
      await handle.cancel();
      await handle.result();
    });
    expect(agenda.states).toEqual(['abandoned', 'waiting']);
    expect(finishes(agenda.calls)).toEqual(['finish cancelled']);
    expect(Date.now() - began).toBeLessThan(15_000);
  });

  test('after the attempt is over touches nothing', async () => {
    const id = newId();
    const run = async () => {
      await cancelAndHear(id);
      return undefined;
    };
    const agenda = new ScriptedAgenda([{ name: 'a', run }]);
    const settleOperations: ScriptedSteps['settleOperations'] = async () => undefined;
    expect(finishes(await walk(agenda, { id, steps: { settleOperations } }))).toEqual([]);
  });

  test.each([
    ['loadPlan', 'finish cancelled', ['run a']],
    ['settleOperations', 'finish cancelled', ['run a', 'run b']],
    ['finishAgenda', 'finish succeeded', ['run a', 'run b']],
  ] as const)('during %s gives the place back: %s', async (step, ending, runs) => {
    const id = newId();
    let cancelled = false;
    // The workflow hears of the cancel with its next task, when it has started one more.
    const run = async (): Promise<OperationOutcome> => {
      if (!cancelled) return 'succeeded';
      await hearOfCancel();
      return 'cancelled';
    };
    const agenda = new ScriptedAgenda(
      [
        { name: 'a', run },
        { name: 'b', after: ['a'], run },
        { name: 'c', after: ['b'], run },
      ].slice(0, step === 'finishAgenda' ? 2 : 3),
    );
    const original = agenda.control[step] as (input: unknown) => Promise<unknown>;
    const cancelling = async (input: unknown) => {
      if (!cancelled) await cancel(id);
      cancelled = true;
      return original(input);
    };
    const calls = await walk(agenda, { id, steps: { [step]: cancelling } });
    // A task that ends a workflow is done again when a cancel came meanwhile: the step may repeat.
    expect([...new Set(finishes(calls))]).toEqual([ending]);
    expect(calls.filter((call) => call.startsWith('run'))).toEqual(runs);
  });

  test('when all had succeeded changes nothing', async () => {
    const id = newId();
    const agenda = new ScriptedAgenda([
      {
        name: 'a',
        run: async () => {
          await cancelAndHear(id);
          return 'succeeded' as const;
        },
      },
    ]);
    expect(finishes(await walk(agenda, { id }))).toEqual(['finish succeeded']);
  });
});

import { existsSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { InProcessFunction } from '../../launchers/in-process/in-process-launcher.ts';
import type { StartedRecord } from '../../launchers/local/run-files.ts';
import type { FinishOperationItem, ReportProgressItem } from '../../messages/resource-pool.ts';
import { type Activity, type Host, type TestWorker, testHost, testWorker } from '../../test/support/pool-worker.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';
import { tellTypes } from '../../test/support/test-records.ts';
import type { OperationKey } from '../../workflows/activities.ts';

let service: ResourcePoolService;
beforeAll(async () => {
  service = await ResourcePoolService.open();
});
afterAll(() => service[Symbol.asyncDispose]());

const eventually = { timeout: 10_000, interval: 10 };

async function admitted(type: string): Promise<OperationKey> {
  service.heal();
  service.requests.length = 0;
  return {
    agendaId: await service.admit([{ name: 'step', type, payload: { of: type } }]),
    attempt: 1,
    operation: 'step',
    type,
  };
}
const recorded = ({ agendaId, operation }: OperationKey) => service.recorded(agendaId, operation);

/** Runs a `gated` Operation until its handler has begun, and says which process that is. */
async function begun(host: Host, worker: TestWorker, info?: { attempt?: number; heartbeatTimeoutMs?: number }) {
  const key = await admitted('gated');
  const activity = worker.run(key, info);
  const handler = await handlerOf(host, worker);
  // `started.json` is there before the handler's first instruction.
  await vi.waitFor(
    () => expect(readFileSync(join(host.runs, handler.run, 'log', 'output.log'), 'utf8')).toContain('begun'),
    eventually,
  );
  return { key, activity, ...handler };
}

async function handlerOf(host: Host, worker: TestWorker): Promise<{ run: string; pid: number }> {
  const run = await vi.waitFor(async () => {
    const found = (await worker.local.list()).find(
      ({ key, alive }) => alive && existsSync(join(host.runs, key, 'started.json')),
    );
    if (found === undefined) throw new Error('no handler yet');
    return found.key;
  }, eventually);
  return { run, pid: startedOf(host, run).pid };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] !== 'Z';
  } catch {
    return false;
  }
}

describe('an Operation that runs through', () => {
  test('a no-op costs two requests, leaves one line in the log and nothing else', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const key = await admitted('noOp');
    await worker.run(key).ended;
    expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'succeeded', launch: 1, result: null });
    expect(service.requests.map(({ operation }) => operation)).toEqual(['startOperation', 'finishOperation']);
    const ends = worker.lines.filter(({ message }) => message === 'operation ended');
    expect(ends).toHaveLength(1);
    expect(ends[0]).toMatchObject({
      cid: 'cid-of-test',
      agendaId: key.agendaId,
      operation: 'step',
      type: 'noOp',
      outcome: 'succeeded',
      launch: 1,
    });
    expect(ends[0]).toHaveProperty('runMilliseconds');
    expect(await worker.pool.launchers.inProcess.list()).toEqual([]);
    expect(worker.pool.running.size).toBe(0);
  });

  test('a process runs, its result and log are recorded, its directory goes', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    await host.openGate();
    const key = await admitted('gated');
    await worker.run(key).ended;
    const { message, result } = await recorded(key);
    expect(message).toBe('succeeded');
    expect(JSON.parse(result ?? '')).toEqual({ pid: expect.any(Number) });
    expect((await service.logs(key.agendaId))[0]).toContain('begun');
    expect(await worker.local.list()).toEqual([]);
  });

  test('a handler that fails is an ending, not an error of the activity', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const key = await admitted('failing');
    await worker.run(key).ended;
    const { message, events } = await recorded(key);
    expect(message).toBe('failed');
    expect(events.map(({ code }) => code)).toContain('exitCode');
  });

  test('progress reaches the record, the newest of what gathered', async () => {
    await using host = await testHost();
    const proceed = Promise.withResolvers<void>();
    const reporter: InProcessFunction = async (_, { report }) => {
      for (let percentComplete = 1; percentComplete <= 50; percentComplete++)
        report({ percentComplete, message: `at ${percentComplete}` });
      await proceed.promise;
      return { done: true };
    };
    using worker = testWorker(host, service, { reporter });
    const key = await admitted('reporter');
    const activity = worker.run(key);
    await vi.waitFor(
      async () => expect(await recorded(key)).toMatchObject({ state: 'EXECUTING', message: 'at 50' }),
      eventually,
    );
    proceed.resolve();
    await activity.ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', result: '{"done":true}' });
    const told = service
      .sent('reportProgress')
      .flatMap(({ items }) => items as ReportProgressItem[])
      .filter(({ message }) => message !== undefined);
    expect(told.map(({ message }) => message)).toEqual(['at 50']);
  });

  test('a result over the limit is an ending too', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service, { hugeResult: () => 'x'.repeat(1_100_000) });
    const key = await admitted('hugeResult');
    await worker.run(key).ended;
    expect(await recorded(key)).toMatchObject({
      message: 'failed',
      events: [expect.objectContaining({ code: 'resultTooLarge' })],
    });
    expect(await worker.pool.launchers.inProcess.list()).toEqual([]);
  });
});

describe('what never starts', () => {
  test('an Operation that has ended, or whose Agenda is over, launches nothing', async () => {
    await using host = await testHost();
    const waiter = vi.fn<InProcessFunction>(() => undefined);
    using worker = testWorker(host, service, { waiter });
    const key = await admitted('waiter');
    await worker.run(key).ended;
    await worker.run(key, { attempt: 2 }).ended;
    await worker.run({ ...key, attempt: 7 }).ended;
    expect(waiter).toHaveBeenCalledTimes(1);
    expect(service.sent('finishOperation')).toHaveLength(1);
  });

  test('a type that is not registered fails the Operation and names the types that are', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const key = await admitted('transmogrify');
    await worker.run(key).ended;
    const { message, events } = await recorded(key);
    expect(message).toBe('failed');
    expect(events[0]).toMatchObject({ code: 'unknownOperationType' });
    expect(events[0]?.message).toMatch(/"transmogrify".*pool pool .*gated, failing/);
  });

  test('a type that another worker serves is handed back: nothing is launched, Temporal begins it again', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    await tellTypes(service.database, service.resourcePoolId, 'theirs');
    const key = await admitted('theirs');
    const failure = await worker.run(key).ended.catch((error: unknown) => error as ApplicationFailure);
    expect(failure).toMatchObject({ type: 'elsewhere', category: 'BENIGN', nonRetryable: false });
    expect(failure).toHaveProperty('nextRetryDelay', expect.any(Number));
    expect(service.sent('finishOperation')).toEqual([]);
    expect(await recorded(key)).toMatchObject({ state: 'WAITING', launch: 0, events: [] });
    expect((await recorded(key)).blocked).toContain('"theirs"');
    await service.database.$client`delete from pool_registry`;
  });

  test('a command that does not exist fails the Operation', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const key = await admitted('missing');
    await worker.run(key).ended;
    expect(await recorded(key)).toMatchObject({
      message: 'failed',
      events: [expect.objectContaining({ code: 'commandNotFound' })],
    });
    expect(await worker.local.list()).toEqual([]);
  });

  test('what cannot be started says why and since when, frees its slot, and is tried again', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    await host.openGate();
    const key = await admitted('gated');
    renameSync(host.runs, `${host.runs}-away`);
    writeFileSync(host.runs, 'a file where the directory was');
    const failure = await waitOf(worker.run(key));
    expect(failure).toMatchObject({ nonRetryable: false, type: 'blocked', category: 'BENIGN' });
    expect(failure.nextRetryDelay).toBeGreaterThanOrEqual(800);
    expect(await recorded(key)).toMatchObject({ state: 'EXECUTING', blocked: expect.stringContaining('ENOTDIR') });
    await waitOf(worker.run(key, { attempt: 2 }));
    expect(await recorded(key)).toMatchObject({ launch: 1, blocked: expect.stringContaining('ENOTDIR') });
    renameSync(host.runs, `${host.runs}-file`);
    renameSync(`${host.runs}-away`, host.runs);
    await worker.run(key, { attempt: 3 }).ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, blocked: null });
    expect(await service.launches(key.agendaId)).toMatchObject([{ launch: 1, ending: 'succeeded' }]);
  });

  test('what cannot be started is told so to the service as soon as that answers, and waits meanwhile', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const key = await admitted('gated');
    renameSync(host.runs, `${host.runs}-away`);
    writeFileSync(host.runs, 'a file where the directory was');
    service.fail(({ operation }) => (operation === 'reportProgress' ? { status: 503 } : undefined));
    const failure = await waitOf(worker.run(key, { attempt: 4 }));
    expect(failure.type).toBe('blocked');
    // The fourth try: 8 s and a fifth less or more.
    expect(failure.nextRetryDelay).toBeGreaterThanOrEqual(6_400);
    expect(failure.nextRetryDelay).toBeLessThanOrEqual(9_600);
    renameSync(host.runs, `${host.runs}-file`);
    renameSync(`${host.runs}-away`, host.runs);
  });

  test('a refused key is said and retried slowly', async () => {
    await using host = await testHost();
    using worker = testWorker(host, { url: service.url, apiKey: 'wrong', resourcePoolId: 'pool' });
    const key = await admitted('noOp');
    const failure = await worker.run(key).ended.catch((error: unknown) => error);
    expect(failure).toMatchObject({
      nonRetryable: false,
      type: expect.stringMatching(/^unauth/),
      message: expect.stringContaining('401'),
    });
    expect((failure as ApplicationFailure).nextRetryDelay).toBe(10_000);
  });
});

describe('a launch that is lost', () => {
  test('frees its slot, keeps its output, and is repeated under the next number when its wait is over', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { key, activity, run, pid } = await begun(host, worker);
    killRun(host, run, pid);
    const failure = await waitOf(activity);
    expect(failure).toMatchObject({ type: 'lost', nonRetryable: false, category: 'BENIGN' });
    expect(failure.nextRetryDelay).toBeGreaterThanOrEqual(800);
    expect(failure.nextRetryDelay).toBeLessThanOrEqual(1_200);
    expect(worker.pool.running.size).toBe(0);
    expect(await worker.local.list()).toEqual([]);
    expect(await recorded(key)).toMatchObject({
      state: 'EXECUTING',
      category: 'infrastructure',
      code: 'lost',
      waits: true,
    });

    // Too early: nothing is launched.
    expect(await waitOf(worker.run(key, { attempt: 2 }))).toMatchObject({ type: 'later', category: 'BENIGN' });
    expect(await recorded(key)).toMatchObject({ launch: 1 });

    await service.endWaits(key.agendaId);
    await host.openGate();
    await worker.run(key, { attempt: 3 }).ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 2, category: null, code: null });
    const output = expect.stringContaining('begun');
    expect(await service.launches(key.agendaId)).toMatchObject([
      { launch: 1, ending: 'lost', category: 'infrastructure', code: 'lost', decision: 'again', output },
      { launch: 2, ending: 'succeeded', category: null, code: null, decision: 'ended', output },
    ]);
  });

  test('five times in a row fails the Operation, and says that nothing more is tried', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { key, activity, run, pid } = await begun(host, worker);
    killRun(host, run, pid);
    await waitOf(activity);
    for (let launch = 2; launch <= 5; launch++) {
      await service.endWaits(key.agendaId);
      const again = worker.run(key, { attempt: launch });
      const next = await handlerOf(host, worker);
      killRun(host, next.run, next.pid);
      if (launch < 5) await waitOf(again);
      else await again.ended;
    }
    expect(await recorded(key)).toMatchObject({
      ...{ message: 'failed', launch: 5, category: 'infrastructure', code: 'lost' },
      events: [expect.objectContaining({ code: 'launchesSpent' }), expect.objectContaining({ code: 'lost' })],
    });
    expect((await service.launches(key.agendaId)).map(({ decision }) => decision)).toEqual([
      ...['again', 'again', 'again', 'again'],
      'ended',
    ]);
  });

  test('a function that ran in another process is lost with it', async () => {
    await using host = await testHost();
    const waiter: InProcessFunction = (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    using first = testWorker(host, service, { waiter });
    using second = testWorker(host, service, { waiter: () => 'from the second' });
    const key = await admitted('waiter');
    const activity = first.run(key);
    await vi.waitFor(async () => expect((await recorded(key)).launch).toBe(1), eventually);
    first.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    expect(await waitOf(second.run(key, { attempt: 2 }))).toMatchObject({ type: 'later' });
    expect(await recorded(key)).toMatchObject({
      launch: 1,
      category: 'infrastructure',
      code: 'placeGone',
      waits: true,
    });
    await service.endWaits(key.agendaId);
    await second.run(key, { attempt: 3 }).ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 2, result: '"from the second"' });
  });
});

describe('where it is launched', () => {
  test('the ask says the launcher and all places, and the record where it was launched', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const key = await admitted('noOp');
    await worker.run(key).ended;
    const { local, inProcess } = worker.pool.launchers;
    expect(await service.launches(key.agendaId)).toMatchObject([{ launcher: 'inProcess', place: inProcess.place }]);
    expect(service.sent('startOperation')[0]?.items[0]).toMatchObject({
      type: 'noOp',
      launcher: 'inProcess',
      place: local.place,
      places: { local: local.place, inProcess: inProcess.place },
    });
  });

  test('an Operation that older workflow code asked for without its type runs at the place of its type', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { type: _, ...untyped } = await admitted('noOp');
    await worker.run(untyped).ended;
    expect(await recorded(untyped)).toMatchObject({
      message: 'succeeded',
      launch: 1,
      place: worker.pool.launchers.inProcess.place,
    });
  });

  test('a type that the registry launches otherwise now begins anew, and nothing of before goes on', async () => {
    await using host = await testHost();
    using first = testWorker(host, service);
    const { key, activity, pid } = await begun(host, first);
    first.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    writeFileSync(host.registry, '{"basePodConfig":{},"gated":{"podConfig":{"function":"noOp"}}}');
    using second = testWorker(host, service);
    expect(await waitOf(second.run(key, { attempt: 2 }))).toMatchObject({ type: 'later' });
    expect(isAlive(pid)).toBe(false);
    expect(await second.local.list()).toEqual([]);
    await service.endWaits(key.agendaId);
    await second.run(key, { attempt: 3 }).ended;
    expect(await recorded(key)).toMatchObject({
      message: 'succeeded',
      launch: 2,
      place: second.pool.launchers.inProcess.place,
    });
  });

  test('a process that version 0.1.0 started goes on', async () => {
    await using host = await testHost();
    using first = testWorker(host, service);
    const { key, activity, pid } = await begun(host, first);
    first.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    // As that version left it: no id in the root, and its name of the place in the record.
    rmSync(join(host.runs, '.place.json'));
    await service.recordPlace(key.agendaId, `local:${hostname()}:${realpathSync(host.runs)}`);
    using second = testWorker(host, service);
    await host.openGate();
    await second.run(key, { attempt: 2 }).ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, result: JSON.stringify({ pid }) });
  });

  test('a shutdown asks a function to end, since it ends with its process', async () => {
    await using host = await testHost();
    const aborted = vi.fn();
    const waiter: InProcessFunction = (_, { signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          aborted();
          reject(signal.reason);
        }),
      );
    using worker = testWorker(host, service, { waiter });
    const key = await admitted('waiter');
    const activity = worker.run(key);
    await vi.waitFor(async () => expect(await worker.pool.launchers.inProcess.list()).toHaveLength(1), eventually);
    worker.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    expect(aborted).toHaveBeenCalledOnce();
    expect(await recorded(key)).toMatchObject({ state: 'EXECUTING' });
  });
});

describe('interrupted', () => {
  test('a shutdown lets go at once, and a second worker adopts the same process', async () => {
    await using host = await testHost();
    using first = testWorker(host, service);
    using second = testWorker(host, service);
    const { key, activity, pid } = await begun(host, first);
    first.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo', nonRetryable: false });
    expect(isAlive(pid)).toBe(true);
    const adopting = second.run(key, { attempt: 2 });
    await vi.waitFor(() => expect(second.pool.running.size).toBe(1), eventually);
    await host.openGate();
    await adopting.ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, result: JSON.stringify({ pid }) });
    expect(second.lines.find(({ message }) => message === 'operation ended')).toMatchObject({ adopted: true });
  });

  test('a cancel by Temporal stops the run, waits until it is gone, records it and is thrown on', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { key, activity, pid } = await begun(host, worker);
    activity.interrupt({ cancelRequested: true });
    await expect(activity.ended).rejects.toBeInstanceOf(CancelledFailure);
    expect(isAlive(pid)).toBe(false);
    expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'cancelled' });
    expect((await service.logs(key.agendaId))[0]).toContain('begun');
    expect(await worker.local.list()).toEqual([]);
  });

  test('a cancel heard from the service with a beat stops the run, and the activity returns', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { key, activity, pid } = await begun(host, worker);
    await service.cancel(key.agendaId);
    await activity.ended;
    expect(isAlive(pid)).toBe(false);
    expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'cancelled' });
  });

  test('a cancel asked for while nobody followed stops the run at the next attempt', async () => {
    await using host = await testHost();
    using first = testWorker(host, service);
    using second = testWorker(host, service);
    const { key, activity, pid } = await begun(host, first);
    first.shutDown();
    await expect(activity.ended).rejects.toThrow();
    await service.cancel(key.agendaId);
    await second.run(key, { attempt: 2 }).ended;
    expect(isAlive(pid)).toBe(false);
    expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'cancelled' });
    expect(await second.local.list()).toEqual([]);
  });

  test('a launch that is over is stopped and forgotten without a report', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { key, activity, pid } = await begun(host, worker);
    await service.end(key.agendaId);
    await activity.ended;
    expect(isAlive(pid)).toBe(false);
    expect(await worker.local.list()).toEqual([]);
    expect(service.sent('finishOperation')).toEqual([]);
  });

  test.each([{ notFound: true }, { timedOut: true }])(
    'a superseded attempt (%o) lets go of a run that is still wanted',
    async (details) => {
      await using host = await testHost();
      using worker = testWorker(host, service);
      const { key, activity, pid } = await begun(host, worker);
      activity.interrupt(details);
      await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
      expect(isAlive(pid)).toBe(true);
      expect((await recorded(key)).state).toBe('EXECUTING');
    },
  );

  test('a superseded attempt lets go when the service cannot be asked', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { key, activity, pid } = await begun(host, worker);
    service.fail(() => ({ status: 503 }));
    activity.interrupt({ notFound: true });
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    expect(isAlive(pid)).toBe(true);
    service.heal();
    expect((await recorded(key)).state).toBe('EXECUTING');
  });

  test('a superseded attempt stops a run that is over', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    // No beat may tell it first.
    worker.pool.running.close();
    const { key, activity, pid } = await begun(host, worker);
    await service.end(key.agendaId);
    activity.interrupt({ notFound: true });
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    expect(isAlive(pid)).toBe(false);
    expect(await worker.local.list()).toEqual([]);
  });

  test('a reset stops the run, and the next attempt begins anew', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { key, activity, pid } = await begun(host, worker);
    activity.interrupt({ reset: true });
    await expect(activity.ended).rejects.toBeInstanceOf(CancelledFailure);
    expect(isAlive(pid)).toBe(false);
    await host.openGate();
    await worker.run(key).ended;
    const { message, result } = await recorded(key);
    expect(message).toBe('succeeded');
    expect(result).not.toBe(JSON.stringify({ pid }));
  });

  test('a pause lets the run go on', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { activity, pid } = await begun(host, worker);
    activity.interrupt({ paused: true });
    await expect(activity.ended).rejects.toBeInstanceOf(CancelledFailure);
    expect(isAlive(pid)).toBe(true);
  });

  test('a cancel before the service has answered ends the activity at once', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const key = await admitted('gated');
    service.fail(() => ({ status: 503 }));
    const activity = worker.run(key);
    await vi.waitFor(() => expect(service.requests.length).toBeGreaterThan(1), eventually);
    activity.interrupt({ cancelRequested: true });
    await expect(activity.ended).rejects.toBeInstanceOf(CancelledFailure);
    expect(await worker.local.list()).toEqual([]);
  });
});

describe('the report of an end', () => {
  test('is repeated until acknowledged while the activity heartbeats, and nothing is forgotten before', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    await host.openGate();
    const key = await admitted('gated');
    // Even when the report was taken in and only its answer got lost.
    service.fail(({ operation }) => (operation === 'finishOperation' ? { status: 500, afterwards: true } : undefined));
    const activity = worker.run(key);
    await vi.waitFor(() => expect(service.sent('finishOperation').length).toBeGreaterThan(3), eventually);
    await vi.waitFor(() => expect(activity.heartbeats.length).toBeGreaterThan(1), eventually);
    expect(await worker.local.list()).toHaveLength(1);
    service.heal();
    await activity.ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded' });
    expect(await worker.local.list()).toEqual([]);
  });

  test('survives a cancel that comes meanwhile', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    await host.openGate();
    const key = await admitted('gated');
    service.fail(({ operation }) => (operation === 'finishOperation' ? { status: 503 } : undefined));
    const activity = worker.run(key);
    await vi.waitFor(() => expect(service.sent('finishOperation').length).toBeGreaterThan(1), eventually);
    activity.interrupt({ cancelRequested: true });
    const count = service.sent('finishOperation').length;
    await vi.waitFor(() => expect(service.sent('finishOperation').length).toBeGreaterThan(count + 1), eventually);
    service.heal();
    await activity.ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded' });
  });

  test('is left to the next worker by a shutdown, which finds the ending', async () => {
    await using host = await testHost();
    using first = testWorker(host, service);
    using second = testWorker(host, service);
    await host.openGate();
    const key = await admitted('gated');
    service.fail(({ operation }) => (operation === 'finishOperation' ? { status: 503 } : undefined));
    const activity = first.run(key);
    await vi.waitFor(() => expect(service.sent('finishOperation').length).toBeGreaterThan(1), eventually);
    first.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    service.heal();
    await second.run(key, { attempt: 2 }).ended;
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1 });
    expect(await second.local.list()).toEqual([]);
  });

  test('becomes smaller when its content is refused', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    await host.openGate();
    const key = await admitted('gated');
    service.fail(({ operation, items }) =>
      operation === 'finishOperation' && (items[0] as FinishOperationItem).result !== undefined
        ? { status: 422 }
        : undefined,
    );
    await worker.run(key).ended;
    expect(await recorded(key)).toMatchObject({
      message: 'failed',
      events: [expect.objectContaining({ code: 'reportRefused' })],
    });
    expect(await worker.local.list()).toEqual([]);
  });

  test('heartbeats say which launch it is', async () => {
    await using host = await testHost();
    using worker = testWorker(host, service);
    const { activity, run } = await begun(host, worker);
    await vi.waitFor(
      () => expect(activity.heartbeats).toContainEqual({ key: run, launch: 1, startedTime: expect.any(Number) }),
      eventually,
    );
    await host.openGate();
    await activity.ended;
  });
});

/** How an activity ended that Temporal is to begin again later. */
async function waitOf(activity: Activity): Promise<ApplicationFailure> {
  const failure = await activity.ended.catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApplicationFailure);
  return failure as ApplicationFailure;
}

/** As a host does that loses power: handler and shim are gone, and nobody wrote an end. */
function killRun(host: Host, run: string, pid: number): void {
  // The shim first, or it would write the handler's end.
  process.kill(startedOf(host, run).shim.pid, 'SIGKILL');
  process.kill(-pid, 'SIGKILL');
}

function startedOf(host: Host, run: string): StartedRecord {
  return JSON.parse(readFileSync(join(host.runs, run, 'started.json'), 'utf8')) as StartedRecord;
}

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Host, type TestWorker, testHost, testWorker } from '../../test/support/pool-worker.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import { OrphanReaper } from './reap-orphans.ts';

let service: ResourcePoolService;
beforeAll(async () => {
  service = await ResourcePoolService.open();
});
afterAll(() => service[Symbol.asyncDispose]());

const none = { asked: 0, stopped: 0, forgotten: 0 };
const isAlive = async (worker: TestWorker) => (await worker.local.list()).map(({ alive }) => alive);
const recorded = ({ agendaId, operation }: OperationKey) => service.recorded(agendaId, operation);

/** An Operation whose handler runs though its worker is gone. */
async function orphan(host: Host): Promise<OperationKey> {
  service.heal();
  service.requests.length = 0;
  using worker = testWorker(host, service);
  const key: OperationKey = {
    agendaId: await service.admit([{ name: 'step', type: 'gated' }]),
    attempt: 1,
    operation: 'step',
  };
  const activity = worker.run(key);
  await vi.waitFor(async () => expect(await isAlive(worker)).toEqual([true]), { timeout: 10_000, interval: 10 });
  worker.shutDown();
  await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
  return key;
}

test('stops what a dead worker left of the Operation, reports it cancelled and forgets it', async () => {
  await using host = await testHost();
  const key = await orphan(host);
  using worker = testWorker(host, service);
  await service.cancel(key.agendaId);
  expect(await worker.stop(key).ended).toEqual({ stopped: true });
  expect(await worker.local.list()).toEqual([]);
  expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'cancelled' });
});

test('says so when nothing of the Operation is in reach, and touches no other', async () => {
  await using host = await testHost();
  const key = await orphan(host);
  using worker = testWorker(host, service);
  expect(await worker.stop({ ...key, operation: 'other' }).ended).toEqual({ stopped: false });
  expect(await worker.stop({ ...key, attempt: 2 }).ended).toEqual({ stopped: false });
  expect(await isAlive(worker)).toEqual([true]);
});

test('leaves the report to the activity here that follows the run', async () => {
  await using host = await testHost();
  const key = await orphan(host);
  using worker = testWorker(host, service);
  const following = worker.run(key, { attempt: 2 });
  await vi.waitFor(async () => expect(await isFollowed(worker)).toBe(true), { timeout: 10_000, interval: 10 });
  expect(await worker.stop(key).ended).toEqual({ stopped: true });
  await following.ended;
  expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'cancelled' });
  expect(service.sent('finishOperation')).toHaveLength(1);
});

test('resolves with the run gone even when its report does not get through; the reaper reports it later', async () => {
  await using host = await testHost();
  const key = await orphan(host);
  using worker = testWorker(host, service);
  await service.cancel(key.agendaId);
  service.fail(({ operation }) => (operation === 'finishOperation' ? { status: 403 } : undefined));
  expect(await worker.stop(key).ended).toEqual({ stopped: true });
  expect(await isAlive(worker)).toEqual([false]);
  service.heal();
  await new OrphanReaper(worker.pool).reap();
  expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'cancelled' });
  expect(await worker.local.list()).toEqual([]);
});

test('the reaper leaves alone what is still wanted, and its question is no sign of life', async () => {
  await using host = await testHost();
  const { agendaId } = await orphan(host);
  using worker = testWorker(host, service);
  const before = await service.lastSeen(agendaId);
  expect(await new OrphanReaper(worker.pool).reap()).toEqual({ asked: 1, stopped: 0, forgotten: 0 });
  expect(await service.lastSeen(agendaId)).toBe(before);
  expect(await isAlive(worker)).toEqual([true]);
});

test('the reaper stops and forgets what is over', async () => {
  await using host = await testHost();
  const key = await orphan(host);
  using worker = testWorker(host, service);
  const reaper = new OrphanReaper(worker.pool);
  await service.end(key.agendaId);
  expect(await reaper.reap()).toEqual({ asked: 1, stopped: 1, forgotten: 0 });
  expect(await worker.local.list()).toEqual([]);
  expect(await reaper.reap()).toEqual(none);
});

test('the reaper forgets an ended run only once its end is in the record', async () => {
  await using host = await testHost();
  const key = await orphan(host);
  using worker = testWorker(host, service);
  await host.openGate();
  await vi.waitFor(async () => expect(await isAlive(worker)).toEqual([false]), { timeout: 10_000, interval: 10 });
  const reaper = new OrphanReaper(worker.pool);
  expect(await reaper.reap()).toEqual({ asked: 1, stopped: 0, forgotten: 0 });
  expect(await worker.local.list()).toHaveLength(1);
  await service.end(key.agendaId);
  expect(await reaper.reap()).toEqual({ asked: 1, stopped: 0, forgotten: 1 });
  expect(await worker.local.list()).toEqual([]);
});

test('the reaper does not ask about runs that an activity here follows', async () => {
  await using host = await testHost();
  const key = await orphan(host);
  using worker = testWorker(host, service);
  worker.run(key, { attempt: 2 }).ended.catch(() => {});
  await vi.waitFor(async () => expect(await isFollowed(worker)).toBe(true), { timeout: 10_000, interval: 10 });
  expect(await new OrphanReaper(worker.pool).reap()).toEqual(none);
});

async function isFollowed(worker: TestWorker): Promise<boolean> {
  return (await worker.local.list()).some(({ key }) => worker.pool.running.follows(key));
}

/** What is known of a pool's Operation types when an Agenda is submitted, as its workers told over HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { registryHours, type TypeNeeds, type WorkerReport } from '../../messages/resource-pool.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

const gib = 2 ** 30;
let database: TestDatabase;
let api: TestApp;
let operator: Send;
let acme: Send;
let worker: Send;

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme'] });
  worker = await api.caller({ scopes: ['pool:pool'] });
  const capacity = { slots: 20, cpu: 16, memory: 64 * gib };
  const plain = { customerId: 'operations', resourcePoolId: 'pool', isGlobal: true, mappers: { always: [] } };
  const sent = [
    await operator('POST', '/resourcepool', { id: 'pool', customerId: 'operations', capacity }),
    await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'pool' }),
    await operator('POST', '/insight', { ...plain, id: 'all', title: 'All', maximum: 10, queueSize: 1_000 }),
  ];
  expect(sent.map((answer) => answer.status)).toEqual(sent.map(() => 201));
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  await database.$client`delete from pool_worker`;
  await database.$client`delete from pool_registry`;
});

const tell = async (types: Record<string, TypeNeeds>, more: Partial<WorkerReport> = {}) => {
  const report = { worker: 'w', version: '0.2.0', slots: 4, startedTime: 1, registryDigest: JSON.stringify(types) };
  const { status, body } = await worker('POST', '/resourcepool/service/reportWorker', { ...report, types, ...more });
  expect(status, JSON.stringify(body)).toBe(200);
};
const age = (seconds: number) => database.$client`
  update pool_registry set seen_time = seen_time - make_interval(secs => ${seconds})`;
const operations = (...types: string[]) => types.map((type, index) => ({ name: `o${index}`, type }));
const submit = (agenda: Record<string, unknown>, path = '/agenda') =>
  acme('POST', path, { customerId: 'acme', ...agenda });
/** The need that a submission is admitted with: slots, cpu, memory, gpu. */
const needOf = async (agenda: Record<string, unknown>) => {
  const { status, body } = await submit(agenda);
  expect(status, JSON.stringify(body)).toBe(201);
  expect(body).not.toHaveProperty('warnings');
  return storedNeed(body.id);
};
const storedNeed = async (agendaId: string) => {
  const [row] = await database.$client<{ need: string }[]>`
    select need from ready_agenda where agenda_id = ${agendaId}`;
  return row?.need;
};

describe('an Operation type', () => {
  test('that no registry serves is refused by place and name, with the nearest; nothing is stored', async () => {
    await tell({ transcode: {}, probe: {} });
    const agenda = { operations: operations('probe', 'trancode', 'logMessages', 'nothingAlike') };
    for (const path of ['/agenda', '/agenda/service/validate']) {
      expect(await submit(agenda, path)).toMatchObject({ status: 422, body: { code: 'invalid' } });
      expect((await submit(agenda, path)).body.errors).toEqual([
        {
          pointer: '/operations/1/type',
          code: 'unknownOperationType',
          message:
            'No pool worker of the ResourcePool "pool" serves the Operation type "trancode". Did you mean "transcode"?',
        },
        {
          pointer: '/operations/3/type',
          code: 'unknownOperationType',
          message:
            'No pool worker of the ResourcePool "pool" serves the Operation type "nothingAlike". ' +
            'Known are "logMessages", "probe", "transcode".',
        },
      ]);
    }
    expect(await database.$client`select from agenda`).toHaveLength(0);
  });

  test('is taken with a warning while no worker told anything, resident types without', async () => {
    for (const path of ['/agenda', '/agenda/service/validate']) {
      const { status, body } = await submit({ operations: operations('anything') }, path);
      expect(status).toBe(path === '/agenda' ? 201 : 200);
      expect(body.warnings).toEqual([
        { pointer: '/operations', code: 'typesNotChecked', message: expect.stringContaining('"pool"') },
      ]);
    }
    expect((await submit({ operations: operations('logMessages') })).body).not.toHaveProperty('warnings');
  });

  test('warnings of fields and of types go together', async () => {
    const { body } = await submit({ operations: operations('x'), nonsense: 1 }, '/agenda?fieldValidation=Warn');
    expect(body.warnings.map(({ code }: { code: string }) => code)).toEqual(['unknownField', 'typesNotChecked']);
  });

  test('is known when any worker of the pool serves it, also one that is gone or edited its registry', async () => {
    await tell({ old: {} });
    await tell({ probe: {} });
    await tell({ transcode: {} }, { worker: 'other' });
    await tell({ transcode: {} }, { worker: 'other', leaving: true });
    await needOf({ operations: operations('probe', 'transcode', 'old') });
  });

  test('is forgotten a day after the last worker with it was seen, and all of them are unchecked again', async () => {
    await tell({ old: {} });
    await age(registryHours * 3_600 + 1);
    expect((await submit({ operations: operations('whatever') })).body.warnings).toHaveLength(1);
    await tell({ probe: {} });
    expect((await submit({ operations: operations('old') })).status).toBe(422);
  });

  test('of another pool is unknown', async () => {
    const other = await api.caller({ scopes: ['pool:other'] });
    await tell({ probe: {} });
    const report = { worker: 'o', version: '0', slots: 1, startedTime: 1, registryDigest: 'o', types: { their: {} } };
    expect((await other('POST', '/resourcepool/service/reportWorker', report)).status).toBe(200);
    expect((await submit({ operations: operations('their') })).status).toBe(422);
  });

  test('counts the faults beyond ten, and names that every object has are no types', async () => {
    await tell({ probe: {} });
    const many = await submit({ operations: operations('constructor', '__proto__', ...Array(20).fill('none')) });
    expect(many.status).toBe(422);
    expect(many.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toContain('/operations/1/type');
    expect(many.body.detail).toContain('[Truncating additional issues]');
  });
});

describe('the demand of an Agenda', () => {
  test('is what its Operations may need at once', async () => {
    await tell({ probe: { cpu: 0.5, memory: gib }, encode: { cpu: 4, memory: 2 * gib, slots: 2 }, plain: {} });
    const fan = [
      { name: 'probe', type: 'probe' },
      ...['a', 'b', 'c'].map((name) => ({ name, type: 'encode', dependsOn: ['probe'] })),
      { name: 'pack', type: 'probe', dependsOn: ['a', 'b', 'c'] },
      { name: 'say', type: 'logMessages', dependsOn: ['pack'] },
    ];
    expect(await needOf({ operations: fan })).toBe(`6,12,${6 * gib},0`);
    expect(await needOf({ operations: fan, parallelism: 2 })).toBe(`4,8,${4 * gib},0`);
    expect(await needOf({ operations: operations('probe') })).toBe(`1,0.5,${gib},0`);
    // What states nothing counts nothing; an Agenda holds a slot.
    expect(await needOf({ operations: operations('plain', 'plain', 'plain') })).toBe('1,0,0,0');
  });

  test('is one slot where no worker told anything', async () => {
    const { body } = await submit({ operations: operations('a', 'b') });
    expect(await storedNeed(body.id)).toBe('1,0,0,0');
  });

  test('is the declared peak where there is one', async () => {
    await tell({ encode: { cpu: 4, slots: 2 } });
    expect(await needOf({ operations: operations('encode', 'encode'), peak: { cpu: 1 } })).toBe('1,1,0,0');
  });

  test('is never more than there is: such an Agenda waits for all of it', async () => {
    await tell({ encode: { cpu: 4, slots: 2 } });
    const many = operations(...Array(9).fill('encode'));
    expect(await needOf({ operations: many })).toBe('10,16,0,0');
  });

  test('of one Operation that is more than there is refuses it, by its type', async () => {
    await tell({ huge: { cpu: 17, slots: 11 } });
    expect((await submit({ operations: operations('huge') })).body.errors).toEqual([
      {
        pointer: '/operations/0/type',
        code: 'needTooLarge',
        message: 'An Operation of the type "huge" needs 17 cpu; the ResourcePool "pool" has 16 in all.',
      },
      {
        pointer: '/operations/0/type',
        code: 'needTooLarge',
        message: 'An Operation of the type "huge" needs 11 slots; the Insight "all" may hold 10 in all.',
      },
    ]);
    await needOf({ operations: operations('huge'), peak: { slots: 1 } });
  });

  test('goes by the largest need of workers that are there, and stays as it was at submission', async () => {
    await tell({ encode: { cpu: 2 } });
    await tell({ encode: { cpu: 3, memory: gib } }, { worker: 'other' });
    expect(await needOf({ operations: operations('encode') })).toBe(`1,3,${gib},0`);
    await age(3_600);
    await tell({ encode: { cpu: 1 } });
    expect(await needOf({ operations: operations('encode') })).toBe('1,1,0,0');
    const needs = await database.$client`select distinct need from ready_agenda where need like '1,3,%'`;
    expect(needs).toHaveLength(1);
  });

  test('is what admission charges: no more are let in than the pool has cores for', async () => {
    await database.$client`delete from ready_agenda`;
    await database.$client`delete from waiting_queue`;
    await database.$client`delete from settlement`;
    await tell({ encode: { cpu: 5 } });
    for (let n = 0; n < 5; n++) await needOf({ operations: operations('encode') });
    expect((await admitBatch(database, { insightId: 'all', batchId: 'demand' })).admitted).toBe(3);
  });
});

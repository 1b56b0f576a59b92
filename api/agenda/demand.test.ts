import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { tellTypes } from '../../test/support/test-records.ts';

let database: TestDatabase;
let api: TestApp;
let operator: Send;
let acme: Send;

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme'] });
  const plain = { customerId: 'operations', resourcePoolId: 'pool', isGlobal: true };
  const sent = [
    await operator('POST', '/resourcepool', {
      id: 'pool',
      customerId: 'operations',
      capacity: { slots: 8, memory: 2 ** 33 },
    }),
    await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'pool' }),
    await operator('POST', '/insight', { ...plain, id: 'all', title: 'All', mappers: { operationType: ['sample'] } }),
    await operator('POST', '/insight', {
      ...plain,
      id: 'small',
      title: 'Small',
      mappers: { operationType: ['small'] },
      maximum: 2,
    }),
  ];
  expect(sent.map((answer) => answer.status)).toEqual(sent.map(() => 201));
  await tellTypes(database, 'pool', 'sample', 'small');
});
afterAll(() => database[Symbol.asyncDispose]());

const agenda = (more: Record<string, unknown> = {}, type = 'sample') => ({
  customerId: 'acme',
  operations: [{ name: 'a', type }],
  ...more,
});
const countAgendas = async () => (await database.$client`select count(*) from agenda`)[0]?.count;

describe('what an Agenda says for its admission', () => {
  test('is stored and shown', async () => {
    const demand = {
      priority: -100,
      peak: { slots: 2, cpu: 1.5, memory: 2 ** 33, gpu: 0 },
      expectedSeconds: 0.5,
      notBefore: 253_402_300_799_999,
    };
    const created = await acme('POST', '/agenda', agenda(demand));
    expect(created).toMatchObject({ status: 201, body: demand });
    expect((await acme('GET', `/agenda/${created.body.id}`)).body).toEqual(created.body);
    expect(
      (await acme('GET', `/agenda?byId=${created.body.id}&fields=id,priority,peak,expectedSeconds,notBefore`)).body.all,
    ).toEqual([{ id: created.body.id, ...demand }]);
  });

  test('may be left out, or be null: the priority is 0', async () => {
    const nulls = { priority: null, peak: null, expectedSeconds: null, notBefore: null };
    for (const each of [{}, nulls, { ...nulls, peak: { slots: null, cpu: 1 } }]) {
      const { status, body } = await acme('POST', '/agenda', agenda(each));
      expect({ status, priority: body.priority }).toEqual({ status: 201, priority: 0 });
      for (const field of ['expectedSeconds', 'notBefore']) expect(body).not.toHaveProperty(field);
      expect(body.peak).toEqual('peak' in each && each.peak !== null ? { cpu: 1 } : undefined);
      expect((await acme('GET', `/agenda/${body.id}`)).body).toEqual(body);
    }
  });

  test('wakes its Insight also when it is for later', async () => {
    api.woken.length = 0;
    await acme('POST', '/agenda', agenda({ notBefore: Date.now() + 3_600_000 }));
    expect(api.woken).toEqual(['all']);
  });

  const wrong: [Record<string, unknown>, string, string][] = [
    [{ priority: 101 }, '/priority', 'priority must be at most 100, is 101.'],
    [{ priority: -101 }, '/priority', 'priority must be at least -100, is -101.'],
    [{ priority: 0.5 }, '/priority', 'priority must be a whole number, is 0.5.'],
    [{ priority: 'high' }, '/priority', 'priority must be a number, is "high".'],
    [{ peak: {} }, '/peak', 'peak must name at least one of slots, cpu, memory, gpu.'],
    [{ peak: { cpu: null } }, '/peak', 'peak must name at least one of slots, cpu, memory, gpu.'],
    [{ peak: 4 }, '/peak', 'peak must be an object, is 4.'],
    [{ peak: { slots: 1.5 } }, '/peak/slots', 'peak.slots must be a whole number, is 1.5.'],
    [{ peak: { slots: 0 } }, '/peak/slots', 'peak.slots must be at least 1, is 0.'],
    [{ peak: { cpu: -1 } }, '/peak/cpu', 'peak.cpu must be at least 0, is -1.'],
    [{ peak: { memory: '8Gi' } }, '/peak/memory', 'peak.memory must be a number, is "8Gi".'],
    [{ peak: { gpu: 1_000_001 } }, '/peak/gpu', 'peak.gpu must be at most 1000000, is 1000001.'],
    [{ peak: { cpus: 1, cpu: 1 } }, '/peak/cpus', 'cpus is not a field of peak; did you mean cpu?'],
    [{ expectedSeconds: 0 }, '/expectedSeconds', 'expectedSeconds must be above 0, is 0.'],
    [{ expectedSeconds: 31_536_001 }, '/expectedSeconds', 'expectedSeconds must be at most 31536000, is 31536001.'],
    [{ notBefore: -1 }, '/notBefore', 'notBefore must be at least 0, is -1.'],
    [
      { notBefore: 253_402_300_800_000 },
      '/notBefore',
      'notBefore must be at most 253402300799999, is 253402300800000.',
    ],
    [{ notBefore: '2026-11-22' }, '/notBefore', 'notBefore must be a number, is "2026-11-22".'],
    [{ peak: { slots: 9 } }, '/peak/slots', 'peak.slots is 9; the ResourcePool "pool" has 8 in all.'],
  ];
  test.each(wrong)('is refused with %o', async (fields, pointer, message) => {
    const before = await countAgendas();
    for (const path of ['/agenda', '/agenda/service/validate']) {
      const { status, body } = await acme('POST', path, agenda(fields));
      expect({ status, errors: body.errors }).toEqual({
        status: 422,
        errors: [{ pointer, code: expect.any(String), message }],
      });
    }
    expect(await countAgendas()).toBe(before);
  });

  test('is told once where it is no number at all', async () => {
    const text = '{"customerId":"acme","operations":[{"name":"a","type":"sample"}],"peak":{"cpu":1e999}}';
    expect((await acme('POST', '/agenda', text)).body.errors).toEqual([
      expect.objectContaining({ pointer: '/peak/cpu', code: 'notFinite' }),
    ]);
  });

  test('is refused as a whole where it could never be admitted, with every limit', async () => {
    const tooMuch = await acme('POST', '/agenda', agenda({ peak: { slots: 9, memory: 2 ** 33 + 1, gpu: 99 } }));
    expect(tooMuch).toMatchObject({ status: 422, body: { code: 'invalid' } });
    expect(tooMuch.body.errors).toEqual([
      {
        pointer: '/peak/slots',
        code: 'peakTooLarge',
        message: 'peak.slots is 9; the ResourcePool "pool" has 8 in all.',
      },
      {
        pointer: '/peak/memory',
        code: 'peakTooLarge',
        message: 'peak.memory is 8589934593; the ResourcePool "pool" has 8589934592 in all.',
      },
    ]);
    expect((await acme('POST', '/agenda', agenda({ peak: { slots: 3 } }, 'small'))).body.errors).toEqual([
      {
        pointer: '/peak/slots',
        code: 'peakTooLarge',
        message: 'peak.slots is 3; the Insight "small" may hold 2 in all.',
      },
    ]);
    expect((await acme('POST', '/agenda', agenda({ peak: { slots: 2 } }, 'small'))).status).toBe(201);
  });
});

describe('POST /agenda/{id}/priority', () => {
  const submitted = async () => (await acme('POST', '/agenda', agenda({ priority: 1 }))).body.id as string;

  test('changes the priority of one that waits, for who may cancel it', async () => {
    const id = await submitted();
    api.woken.length = 0;
    const operate = await api.caller({ accounts: ['acme'], scopes: ['operate'] });
    const answer = await operate('POST', `/agenda/${id}/priority`, { priority: 50 }, { 'X-pop-cid': 'abc' });
    expect(answer).toMatchObject({ status: 200, body: { cid: 'abc', id, priority: 50 } });
    expect(api.woken).toEqual(['all']);
    const changed = (await acme('GET', `/agenda/${id}`)).body;
    expect(changed.priority).toBe(50);
    expect(changed.updatedTime).toBeGreaterThan(changed.addedTime);
    expect((await acme('GET', `/agenda/${id}/audit`)).body.all.at(-1)).toMatchObject({
      ...{ action: 'agenda.priority', cid: 'abc', before: { priority: 1 }, after: { priority: 50 } },
    });
  });

  test('is for nobody else', async () => {
    const id = await submitted();
    const other = await api.caller({ accounts: ['other'] });
    expect((await other('POST', `/agenda/${id}/priority`, { priority: 1 })).status).toBe(404);
    for (const scope of ['read', 'submit']) {
      const weak = await api.caller({ accounts: ['acme'], scopes: [scope] });
      expect((await weak('POST', `/agenda/${id}/priority`, { priority: 1 })).status).toBe(403);
    }
    expect((await acme('POST', '/agenda/none/priority', { priority: 1 })).status).toBe(404);
  });

  test.each([
    [{ priority: 101 }, '/priority', 'priority must be at most 100, is 101.'],
    [{ priority: null }, '/priority', 'priority must be a number, is null.'],
    [{}, '/priority', 'priority is required.'],
    [{ priority: 1, force: true }, '/force', 'force is not a field of this body; /docs lists those that are.'],
  ])('refuses %o', async (body, pointer, message) => {
    const id = await submitted();
    expect(await acme('POST', `/agenda/${id}/priority`, body)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer, message }] },
    });
  });

  test('is refused for one that runs or has ended', async () => {
    await database.$client`delete from ready_agenda`;
    await database.$client`delete from waiting_queue`;
    const [runs, over] = [await submitted(), await submitted()];
    await acme('POST', `/agenda/${over}/cancel`);
    expect((await admitBatch(database, { insightId: 'all', batchId: 'test' })).admitted).toBe(1);
    for (const [id, now] of [
      [runs, 'runs already'],
      [over, 'has ended'],
    ]) {
      expect(await acme('POST', `/agenda/${id}/priority`, { priority: 2 })).toMatchObject({
        status: 409,
        body: { code: 'notWaiting', detail: `The Agenda "${id}" ${now}: its priority has no effect any more.` },
      });
    }
  });
});

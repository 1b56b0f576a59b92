import { expect, test } from 'vitest';
import { done, type Fields, newCaller, newId, operator, sample } from './running-system.ts';

/** A pool of its own with a customer; nobody serves it, for Agendas only need to be mapped. */
async function place() {
  const { id: resourcePoolId } = await done(operator, 'POST', '/resourcepool', {
    customerId: 'operations',
    title: 'Mapping',
  });
  const addCustomer = async () => {
    const id = newId('customer');
    await done(operator, 'POST', '/customer', { id, customerId: id, title: id, resourcePoolId });
    const send = await newCaller(id);
    return {
      id,
      submit: (agenda: Fields) => send('POST', '/agenda', { customerId: id, operations: [sample('a')], ...agenda }),
    };
  };
  const addInsight = async (fields: Fields) => {
    const insight = { customerId: 'operations', title: newId('title'), resourcePoolId, isGlobal: true, ...fields };
    return done(operator, 'POST', '/insight', insight);
  };
  const customer = await addCustomer();
  /** The Insight that an Agenda goes to; undefined when there is none. */
  const chosen = async (agenda: Fields): Promise<string | undefined> => {
    const { status, body } = await customer.submit(agenda);
    expect(status, JSON.stringify(body)).toBeOneOf([201, 404]);
    return body.agendaInsight?.insightId;
  };
  return { resourcePoolId, customer, addCustomer, addInsight, chosen };
}

const none: Fields = { operations: [{ name: 'unlike', type: 'unlike' }] };

test('row 42: Agendas are mapped by the type and by the name of an Operation, in any letter case', async () => {
  const { addInsight, chosen } = await place();
  const byType = await addInsight({ mappers: { operationType: ['TransCode'] } });
  const byName = await addInsight({ mappers: { operationName: ['The.First'] } });
  expect(await chosen({ operations: [sample('x'), { name: 'y', type: 'tRANSCODE' }] })).toBe(byType.id);
  expect(await chosen({ operations: [{ name: 'the.FIRST', type: 'unlike' }] })).toBe(byName.id);
  expect(await chosen(none)).toBeUndefined();
});

test('row 43: Agendas are mapped by params of the Agenda or of an Operation, values with "=" too', async () => {
  const { addInsight, chosen } = await place();
  const tier = await addInsight({ mappers: { paramMap: ['k=a'] } });
  const equals = await addInsight({ mappers: { paramMap: ['formula=x=y=1'] } });
  expect(await chosen({ ...none, params: { K: 'A' } })).toBe(tier.id);
  expect(await chosen({ operations: [{ name: 'n', type: 'n', params: { K: 'A' } }] })).toBe(tier.id);
  expect(await chosen({ ...none, params: { formula: 'X=Y=1' } })).toBe(equals.id);
  expect(await chosen({ ...none, params: { k: 'b', formula: 'x' } })).toBeUndefined();
});

test('row 44: one matching value of one mapper suffices', async () => {
  const { addInsight, chosen } = await place();
  const { id } = await addInsight({
    mappers: { operationType: ['t1', 't2'], operationName: ['n1'], paramMap: ['k=v'] },
  });
  expect(await chosen({ operations: [{ name: 'other', type: 't2' }] })).toBe(id);
  expect(await chosen({ operations: [{ name: 'n1', type: 'other' }] })).toBe(id);
  expect(await chosen({ ...none, params: { k: 'v' } })).toBe(id);
  expect(await chosen(none)).toBeUndefined();
});

test('row 45: of several that match, defaultInsight chooses by title and by id', async () => {
  const { addInsight, chosen } = await place();
  const first = await addInsight({ title: 'The first one', mappers: { operationType: ['sample'] } });
  const second = await addInsight({ title: 'The second one', mappers: { operationType: ['sample'] } });
  for (const insight of [first, second]) {
    expect(await chosen({ params: { defaultInsight: insight.title } })).toBe(insight.id);
    expect(await chosen({ params: { defaultInsight: insight.id } })).toBe(insight.id);
  }
  expect(await chosen({})).toBe(first.id);
});

test('row 46: an Insight for allowed customers takes no others', async () => {
  const { addInsight, addCustomer, customer } = await place();
  const other = await addCustomer();
  const fields = {
    mappers: { operationType: ['sample'] },
    isGlobal: false,
    allowedCustomerIds: [customer.id.toUpperCase()],
  };
  const { id } = await addInsight(fields);
  expect((await customer.submit({})).body.agendaInsight.insightId).toBe(id);
  const refused = await other.submit({});
  expect(refused.status).toBe(404);
  expect(refused.body.code).toBe('noInsight');
});

test('row 47: a global Insight takes every customer of its pool, and none of another pool', async () => {
  const [here, there] = [await place(), await place()];
  const { id } = await here.addInsight({ mappers: { operationType: ['sample'] }, isGlobal: true });
  for (const customer of [here.customer, await here.addCustomer()]) {
    expect((await customer.submit({})).body.agendaInsight).toEqual({
      resourcePoolId: here.resourcePoolId,
      insightId: id,
    });
  }
  expect((await there.customer.submit({})).status).toBe(404);
  // Not even when asked for.
  expect((await there.customer.submit({ params: { defaultInsight: id } })).status).toBeOneOf([404, 422]);
});

test('row X6: a malformed mapper is refused, and disturbs nobody', async () => {
  const { addInsight, chosen, resourcePoolId } = await place();
  const good = await addInsight({ mappers: { paramMap: ['k=v'] } });
  for (const mappers of [
    { paramMap: ['k='] },
    { paramMap: ['=v'] },
    { paramMap: ['k'] },
    { noSuchMapper: ['x'] },
    { operationType: 'sample' },
  ]) {
    const fields = { customerId: 'operations', title: 'Bad', resourcePoolId, isGlobal: true, mappers };
    expect((await operator('POST', '/insight', fields)).status, JSON.stringify(mappers)).toBe(422);
    expect((await operator('PUT', `/insight/${good.id}`, { mappers })).status, JSON.stringify(mappers)).toBe(422);
  }
  expect(await chosen({ ...none, params: { k: 'v' } })).toBe(good.id);
});

test('row X8: an Insight that can admit nothing is refused or says so', async () => {
  const { addInsight, resourcePoolId } = await place();
  expect(await addInsight({ queueSize: 0 })).toMatchObject({ queueSize: 0, pausedBy: 'queueSize' });
  expect(await addInsight({ paused: true })).toMatchObject({ paused: true, pausedBy: 'setting' });
  const plain = await addInsight({});
  expect(plain.queueSize).toBeGreaterThan(0);
  expect(plain).toMatchObject({ paused: false, schedulingAlgorithm: expect.stringMatching(/\w/) });
  expect(plain).not.toHaveProperty('pausedBy');
  const fields = { customerId: 'operations', title: 'Bad', resourcePoolId };
  for (const bad of [{ schedulingAlgorithm: 'Nobody' }, { queueSize: -1 }, { queueSize: 'many' }]) {
    expect((await operator('POST', '/insight', { ...fields, ...bad })).status, JSON.stringify(bad)).toBe(422);
  }
});

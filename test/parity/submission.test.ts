import { expect, test } from 'vitest';
import { countQueued, countRows, type Sql, withRecord } from './record.ts';
import {
  anonymous,
  done,
  ended,
  type Fields,
  newCaller,
  newId,
  newTenant,
  operator,
  progressOf,
  run,
  sample,
  submit,
} from './running-system.ts';

/** What is answered to an Agenda of these Operations that must be refused. */
async function refusal(operations: readonly Fields[]) {
  const { send, customerId } = await newTenant({ queueSize: 0 });
  const { status, body } = await send('POST', '/agenda', { customerId, operations });
  expect(status, JSON.stringify(body)).toBe(422);
  expect((await done(send, 'GET', '/agenda')).count).toBe(0);
  return body;
}

const text = (value: string): Fields => ({ payload: { resultPayload: value } });

test('row 21: a submitted Agenda is there with its progress and its waiting entry', async () => {
  const tenant = await newTenant({ queueSize: 0 });
  const operations = [sample('a', { resultPayload: 1 }), sample('b', { resultPayload: '@<a.out>' })];
  const agenda = await submit(tenant, { title: 'Two', linkId: newId('link'), operations });
  expect(await done(tenant.send, 'GET', `/agenda/${agenda.id}`)).toMatchObject({
    id: agenda.id,
    title: 'Two',
    operations,
  });
  const progress = await progressOf(tenant, agenda);
  expect(progress).toMatchObject({
    agendaId: agenda.id,
    processingState: 'WAITING',
    processingStateMessage: 'pending',
    percentComplete: 0,
  });
  expect(progress.operationProgress).toHaveLength(2);
  for (const name of ['a', 'b']) {
    expect(progress.operationProgress).toContainEqual(
      expect.objectContaining({
        id: `${progress.id}-${name}`,
        operation: name,
        processingState: 'WAITING',
        percentComplete: 0,
      }),
    );
  }
  expect(await withRecord((sql) => countQueued(sql, [agenda.id]))).toEqual({ waiting: 1, admitted: 0 });
});

test('row 22: an Agenda without Operations is refused', async () => {
  expect((await refusal([])).detail).toContain('No operations');
  const { send, customerId } = await newTenant();
  expect((await send('POST', '/agenda', { customerId })).status).toBe(422);
});

test('row 23: Operations need names that are unique ignoring case', async () => {
  expect((await refusal([{ type: 'sample' }])).errors).toContainEqual(
    expect.objectContaining({ pointer: '/operations/0/name' }),
  );
  expect((await refusal([sample('x'), sample('X')])).detail).toContain('unique');
});

test('row 24: a reference to an unknown Operation is refused, both named', async () => {
  const { detail, errors } = await refusal([
    sample('a'),
    sample('b', { resultPayload: { deep: ['text @<zz.out::/a> text'] } }),
  ]);
  expect(detail).toContain('[b]');
  expect(detail).toContain('@<zz.out::/a>');
  expect(errors).toMatchObject([{ pointer: '/operations/1/payload/resultPayload/deep/0' }]);
});

test('row 25: circular references are refused, every Operation of the circle named', async () => {
  const circle = await refusal([
    { name: 'first', type: 'sample', ...text('@<second.out>') },
    { name: 'second', type: 'sample', ...text('@<first.out>') },
    { name: 'beside', type: 'sample' },
  ]);
  const named = circle.errors.map((fault: { pointer: string }) => fault.pointer);
  expect(named).toEqual(['/operations/0', '/operations/1']);
  expect(circle.detail).toMatch(/first[\s\S]*second/);
  expect((await refusal([{ name: 'itself', type: 'sample', ...text('@<itself.out>') }])).detail).toContain('itself');
});

test('row 26: of many faults ten are listed, and it is said that there are more', async () => {
  const operations = Array.from({ length: 15 }, (_, index) => ({
    name: `o${index}`,
    type: 'sample',
    ...text(`@<gone${index}.out>`),
  }));
  const { detail, errors } = await refusal(operations);
  const listed = errors.filter((fault: { pointer: string }) => fault.pointer !== '');
  expect(listed).toHaveLength(10);
  expect(new Set(listed.map((fault: { pointer: string }) => fault.pointer)).size).toBe(10);
  expect(detail).toContain('[Truncating additional issues]');
  expect(errors.at(-1).message).toContain('15');
});

test('row 27: an unknown customer is refused with its id; without a fitting Insight nothing is kept', async () => {
  const { send, customerId } = await newTenant({ mappers: { operationType: ['another'] } });
  await withRecord(async (sql) => {
    const before = await countRows(sql);
    const nobody = newId('nobody');
    const unknown = await operator('POST', '/agenda', { customerId: nobody, operations: [sample('a')] });
    expect(unknown.status).toBe(422);
    expect(unknown.body.detail).toContain(nobody);
    const unfit = await send('POST', '/agenda', { customerId, operations: [sample('a')] });
    expect(unfit.status).toBe(404);
    expect(unfit.body.detail).toContain('No available insights');
    expect(await countRows(sql)).toEqual(before);
  });
});

/** Lets the store refuse this customer's rows of one table while `attempt` runs. */
async function withBrokenTable(
  sql: Sql,
  table: string,
  customerId: string,
  attempt: () => Promise<void>,
): Promise<void> {
  const name = `refuse_${customerId.replaceAll('-', '_')}`;
  await sql.unsafe(`
      create function ${name}() returns trigger language plpgsql as $$ begin raise exception 'the store fails'; end $$;
      create trigger ${name} before insert on ${table}
        for each row when (new.customer_id = '${customerId}') execute function ${name}();`);
  try {
    await attempt();
  } finally {
    await sql.unsafe(`drop trigger ${name} on ${table}; drop function ${name}();`);
  }
}

test('row 28: a submission that the store fails leaves nothing, wherever it fails', async () => {
  const tenant = await newTenant();
  const agenda = { customerId: tenant.customerId, operations: [sample('a'), sample('b')] };
  await withRecord(async (sql) => {
    const before = await countRows(sql);
    for (const table of ['agenda_progress', 'operation_progress', 'ready_agenda', 'audit_entry']) {
      await withBrokenTable(sql, table, tenant.customerId, async () => {
        const refused = await tenant.send('POST', '/agenda', agenda);
        expect(refused.status, table).toBe(500);
        expect(JSON.stringify(refused.body)).not.toContain('the store fails');
      });
      expect(await countRows(sql), table).toEqual(before);
    }
  });
  expect((await run(tenant, agenda)).processingStateMessage).toBe('succeeded');
});

test('row 29: an Agenda with doNotRun is stored and never scheduled', async () => {
  const tenant = await newTenant();
  const kept = await submit(tenant, { params: { doNotRun: false }, operations: [sample('a')] });
  // One submitted later to the same queue runs to its end, so the first one's turn would have come.
  expect((await run(tenant, { operations: [sample('a')] })).processingStateMessage).toBe('succeeded');
  expect(await done(tenant.send, 'GET', `/agenda/${kept.id}`)).toMatchObject({ params: { doNotRun: false } });
  expect(await progressOf(tenant, kept)).toMatchObject({ processingState: 'WAITING', attemptsCompleted: 0 });
  expect(await withRecord((sql) => countQueued(sql, [kept.id]))).toEqual({ waiting: 0, admitted: 0 });
});

test('row 30: externalId and maximumAttempts of the params are in the progress; the default is 3', async () => {
  const tenant = await newTenant({ queueSize: 0 });
  const given = await submit(tenant, {
    params: { externalId: 'order-4711', maximumAttempts: 5 },
    operations: [sample('a')],
  });
  expect(await progressOf(tenant, given)).toMatchObject({ externalId: 'order-4711', maximumAttempts: 5 });
  const plain = await progressOf(tenant, await submit(tenant, { operations: [sample('a')] }));
  expect(plain.maximumAttempts).toBe(3);
  expect(plain.externalId).toBeUndefined();
});

test('row X4: dependsOn of an unknown name, of itself and in a circle is refused, as list and as text', async () => {
  const forms: readonly ((names: string) => Fields)[] = [
    (names) => ({ params: { dependsOn: names } }),
    (names) => ({ dependsOn: names.split(', ') }),
  ];
  for (const on of forms) {
    expect((await refusal([sample('a'), { ...sample('b'), ...on('a, zz') }])).detail).toContain('zz');
    expect((await refusal([{ ...sample('alone'), ...on('alone') }])).detail).toContain('alone');
    const circle = await refusal([
      { ...sample('one'), ...on('three') },
      { ...sample('two'), ...on('one') },
      { ...sample('three'), ...on('two') },
    ]);
    expect(circle.errors).toHaveLength(3);
  }
});

test('row X5: a template token that nobody replaced is refused', async () => {
  for (const token of ['@<pop.payload::/a>', '@<pop.transformRequest::/a>', '@<pop.unknown>']) {
    expect((await refusal([sample('a', { resultPayload: `text ${token}` })])).detail).toContain(token);
  }
  const { send, customerId } = await newTenant();
  const titled = await send('POST', '/agenda', {
    customerId,
    title: '@<pop.payload::/title>',
    operations: [sample('a')],
  });
  expect(titled.status).toBe(422);
});

test('row X12: the status says what is wrong, and no answer shows the inside', async () => {
  const tenant = await newTenant();
  const { customerId, send } = tenant;
  const agenda = { customerId, operations: [sample('a')] };
  const over = await submit(tenant, agenda);
  await ended(tenant, over);
  const stranger = await newCaller(newId('stranger'));
  const answers: readonly [status: number, answer: Awaited<ReturnType<typeof send>>][] = [
    [400, await send('POST', '/agenda', '{')],
    [400, await send('GET', '/agenda?limit=none')],
    [401, await anonymous('GET', '/agenda', undefined, { authorization: 'Bearer nonsense' })],
    [401, await anonymous('GET', '/agenda')],
    [403, await stranger('POST', '/agenda', agenda)],
    [403, await send('PUT', `/customer/${customerId}`, { title: 'Mine' })],
    [404, await stranger('GET', `/agenda/${over.id}`)],
    [404, await send('GET', '/agenda/none')],
    [404, await send('GET', '/nothing')],
    [405, await send('DELETE', '/agenda')],
    [409, await operator('POST', '/customer', { id: customerId, customerId, title: 'Twice' })],
    [409, await send('POST', `/agenda/${over.id}/cancel`)],
    [415, await send('POST', '/agenda', agenda, { 'content-type': 'text/plain' })],
    [422, await send('POST', '/agenda', { ...agenda, operations: 'none' })],
    [422, await operator('PUT', `/customer/${customerId}`, { id: 'other' })],
  ];
  for (const [expected, { status, headers, body }] of answers) {
    expect(status, JSON.stringify(body)).toBe(expected);
    expect(headers.get('content-type')).toContain('application/problem+json');
    expect(body).toMatchObject({
      status,
      responseCode: status,
      code: expect.any(String),
      detail: expect.stringMatching(/\S/),
    });
    expect(JSON.stringify(body)).not.toMatch(/stack|node_modules|\.ts\b|\bat \w+ \(/);
  }
});

test('row X13: JSON that is malformed is refused with line and column', async () => {
  const { send } = await newTenant();
  const { status, body } = await send('POST', '/agenda', '{\n  "customerId": "a",\n  "operations": [}\n}');
  expect(status).toBe(400);
  expect(body.detail).toMatch(/line 3 column 18/);
  expect((await send('POST', '/agenda', '{"customerId": "a"')).body.detail).toMatch(/line 1 column 19/);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { LaunchTokenKeys, rotateLaunchTokenKeys } from '../../db/operation/launch-token-keys.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addRunningAgenda } from '../../test/support/test-records.ts';
import { type LaunchOfPool, LaunchTokens } from './launch-token.ts';

let database: TestDatabase;
let api: TestApp;
beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
});
afterAll(() => database[Symbol.asyncDispose]());

interface Launched {
  readonly token: string;
  readonly fence: Omit<LaunchOfPool, 'resourcePoolId'>;
  readonly worker: Send;
  /** Asks with the token. */
  readonly handler: (operation: string, item: object) => ReturnType<Send>;
  readonly row: () => Promise<Record<string, unknown>>;
}

/** An Operation that a pool worker has begun. */
async function launched(): Promise<Launched> {
  const { agendaId, attempt, resourcePoolId } = await addRunningAgenda(database, { operations: [{ name: 'step' }] });
  const worker = await api.caller({ scopes: [`pool:${resourcePoolId}`] });
  const asked = { agendaId, attempt, operation: 'step' };
  const { body } = await worker('POST', '/resourcepool/service/startOperation', {
    items: [{ ...asked, place: 'here', worker: 'w' }],
  });
  const { token, operationAttempt, launch } = body.items[0];
  return {
    token,
    fence: { ...asked, operationAttempt, launch },
    worker,
    handler: (operation, item) =>
      api.anonymous(
        'POST',
        `/resourcepool/service/${operation}`,
        { items: [item] },
        { Authorization: `Bearer ${token}` },
      ),
    row: async () => (await database.$client`select * from operation_progress where agenda_id = ${agendaId}`)[0] ?? {},
  };
}

const ended = { outcome: 'succeeded', result: '{"by":"itself"}' };

test('the handler of a launch reports progress and the end by its token', async () => {
  const { handler, fence, row } = await launched();
  expect((await handler('reportProgress', { ...fence, percentComplete: 50 })).body.items).toEqual([{ verdict: 'ok' }]);
  expect(await row()).toMatchObject({ percent_complete: 50, processing_state: 'EXECUTING' });
  const { body } = await handler('finishOperation', { ...fence, ...ended });
  expect(body.items).toEqual([{ verdict: 'stored', outcome: 'succeeded' }]);
  expect(await row()).toMatchObject({ processing_state_message: 'succeeded', result_payload: '{"by":"itself"}' });
});

test('its pool worker is told when the handler last reported by itself', async () => {
  const { handler, fence, worker } = await launched();
  const beat = async () =>
    (await worker('POST', '/resourcepool/service/reportProgress', { items: [fence] })).body.items;
  expect(await beat()).toEqual([{ verdict: 'ok' }]);
  await handler('reportProgress', { ...fence });
  expect(await beat()).toEqual([{ verdict: 'ok', reportedTime: expect.any(Number) }]);
});

test('what the handler reported first stands, whatever its pool worker reports then; its output is kept', async () => {
  const { handler, fence, row, worker } = await launched();
  await handler('finishOperation', { ...fence, ...ended });
  const { body } = await worker('POST', '/resourcepool/service/finishOperation', {
    items: [{ ...fence, outcome: 'failed', log: { output: 'printed', totalBytes: 7 } }],
  });
  expect(body.items).toEqual([{ verdict: 'stored', outcome: 'succeeded' }]);
  expect(await row()).toMatchObject({ processing_state_message: 'succeeded', result_payload: '{"by":"itself"}' });
  const logs = await database.$client`select output from operation_log where agenda_id = ${fence.agendaId}`;
  expect(logs.map(({ output }) => output)).toEqual(['printed']);
});

test('a token says nothing of another launch: 403 names what does not fit', async () => {
  const one = await launched();
  const two = await launched();
  const answer = await one.handler('reportProgress', { ...two.fence, percentComplete: 99 });
  expect(answer).toMatchObject({
    status: 403,
    body: { code: 'forbidden', errors: [{ pointer: '/items/0/agendaId', code: 'notThisLaunch' }] },
  });
  expect(answer.body.detail).toContain(two.fence.agendaId);
  expect(await two.row()).toMatchObject({ percent_complete: 0 });
  for (const other of [{ attempt: 2 }, { operation: 'other' }, { operationAttempt: 2 }, { launch: 2 }]) {
    const [field] = Object.keys(other);
    for (const [operation, more] of [
      ['reportProgress', {}],
      ['finishOperation', ended],
    ] as const)
      expect(await one.handler(operation, { ...one.fence, ...other, ...more }), field).toMatchObject({
        status: 403,
        body: { errors: [{ pointer: `/items/0/${field}` }] },
      });
  }
  const several = await api.anonymous(
    'POST',
    '/resourcepool/service/reportProgress',
    { items: [one.fence, two.fence] },
    { Authorization: `Bearer ${one.token}` },
  );
  expect(several).toMatchObject({ status: 403, body: { errors: [{ pointer: '/items/1/agendaId' }] } });
});

test('what is the pool worker’s to say is refused', async () => {
  const { handler, fence } = await launched();
  for (const [operation, more] of [
    ['reportProgress', { worker: 'me' }],
    ['reportProgress', { orphan: true }],
    ['reportProgress', { blocked: { reason: 'none' } }],
    ['finishOperation', { outcome: 'failed', ending: 'lost' }],
    ['finishOperation', { outcome: 'failed', category: 'infrastructure' }],
    ['finishOperation', { outcome: 'failed', code: 'lost' }],
    ['finishOperation', { ...ended, log: { output: '', totalBytes: 0 } }],
  ] as const)
    expect((await handler(operation, { ...fence, ...more })).status).toBe(403);
});

test('a failure that the handler reports is the handler’s, whatever word it chose', async () => {
  const { handler, fence, row } = await launched();
  const diagnosticEvents = [{ code: 'lost', message: 'I lost it' }];
  const { body } = await handler('finishOperation', { ...fence, outcome: 'failed', diagnosticEvents });
  expect(body.items).toEqual([{ verdict: 'stored', outcome: 'failed' }]);
  expect(await row()).toMatchObject({
    processing_state_message: 'failed',
    failure_category: 'handler',
    failure_code: 'reportedFailure',
    diagnostic_events: diagnosticEvents,
  });
});

test('the token of a lost launch changes nothing', async () => {
  const { handler, fence, row, worker } = await launched();
  const { agendaId, attempt, operation } = fence;
  await worker('POST', '/resourcepool/service/startOperation', {
    items: [{ agendaId, attempt, operation, place: 'elsewhere', worker: 'w2' }],
  });
  const before = await row();
  expect(before).toMatchObject({ launch: 2 });
  expect((await handler('reportProgress', { ...fence, percentComplete: 50 })).body.items).toEqual([
    { verdict: 'over' },
  ]);
  expect((await handler('finishOperation', { ...fence, ...ended })).body.items).toEqual([{ verdict: 'over' }]);
  expect(await row()).toEqual(before);
});

test('a token opens nothing else', async () => {
  const { token, fence } = await launched();
  const bearer = { Authorization: `Bearer ${token}` };
  const { agendaId, attempt, operation } = fence;
  const start = { items: [{ agendaId, attempt, operation, place: 'here', worker: 'w' }] };
  const worker = { worker: 'w', version: '0', slots: 1, startedTime: 1, registryDigest: 'x', types: {} };
  for (const [method, path, body] of [
    ['POST', '/resourcepool/service/startOperation', start],
    ['POST', '/resourcepool/service/reportWorker', worker],
    ['GET', '/resourcepool/service/pool', undefined],
    ['GET', '/resourcepool/pool/workers', undefined],
    ['GET', `/agenda/${agendaId}`, undefined],
    ['GET', '/agenda', undefined],
    ['GET', '/customer', undefined],
    ['POST', '/apikey', { accounts: ['a'], scopes: ['read'] }],
    ['POST', '/agenda', { customerId: 'customer', operations: [] }],
    ['GET', '/metrics', undefined],
  ] as const)
    expect((await api.anonymous(method, path, body, bearer)).status, path).toBe(403);
});

test('a token that is wrong anywhere is refused, all alike', async () => {
  const { token, fence } = await launched();
  const report = (credential: string) =>
    api.anonymous(
      'POST',
      '/resourcepool/service/reportProgress',
      { items: [fence] },
      { Authorization: `Bearer ${credential}` },
    );
  expect((await report(token)).status).toBe(200);
  const digits = token.split('_')[1] ?? '';
  const wrong = [
    token.slice(0, -1),
    `${token}0`,
    token.replace(`popl_${digits}_`, 'popl_999_'),
    token.replace('popl_', 'pop_'),
    `popl_${digits}_${'A'.repeat(3_000)}_${'0'.repeat(64)}`,
    'popl_',
  ];
  for (let at = 'popl_1_'.length; at < token.length; at += 7)
    wrong.push(token.slice(0, at) + (token[at] === '1' ? '2' : '1') + token.slice(at + 1));
  const answers = await Promise.all(wrong.map(report));
  expect(answers.map(({ status }) => status)).toEqual(wrong.map(() => 401));
  expect(JSON.stringify(api.lines)).not.toContain(token);
});

test('a token stays valid over one rotation and not over the second', async () => {
  const keys = () => new LaunchTokens(database, new LaunchTokenKeys(database, { believedSeconds: 0 }));
  const launch: LaunchOfPool = {
    resourcePoolId: 'pool',
    agendaId: 'Ägenda_1',
    attempt: 1,
    operation: 'step_ü',
    operationAttempt: 2,
    launch: 3,
  };
  const [token = ''] = await keys().sign([launch]);
  expect(await keys().verify(token)).toEqual(launch);
  await rotateLaunchTokenKeys(database);
  expect(await keys().verify(token)).toEqual(launch);
  const [next = ''] = await keys().sign([launch]);
  await rotateLaunchTokenKeys(database);
  await expect(keys().verify(token)).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(await keys().verify(next)).toEqual(launch);
  await rotateLaunchTokenKeys(database, { retireAll: true });
  await expect(keys().verify(next)).rejects.toMatchObject({ code: 'unauthenticated' });
});

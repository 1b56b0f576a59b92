import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agendaOutcomes, operationOutcomes } from '../../agenda/outcomes.ts';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { finishAgenda } from '../../db/agenda/finish-agenda.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
let api: TestApp;
let acme: Send;
let other: Send;
let pool: Send;
let otherPool: Send;

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  const operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme'] });
  other = await api.caller({ accounts: ['other'] });
  pool = await api.caller({ scopes: ['pool:pool'] });
  otherPool = await api.caller({ scopes: ['pool:elsewhere'] });
  await operator('POST', '/resourcepool', { id: 'pool', customerId: 'operations', title: 'Pool' });
  await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'pool' });
  await operator('POST', '/insight', {
    id: 'all',
    title: 'All',
    customerId: 'operations',
    resourcePoolId: 'pool',
    isGlobal: true,
    mappers: { operationType: ['sample'] },
  });
});
afterAll(() => database[Symbol.asyncDispose]());

const service = '/resourcepool/service';

/** Submits one Agenda and admits everything that waits. */
async function running(more: Record<string, unknown> = {}): Promise<{ id: string; progressId: string }> {
  const operations = [
    { name: 'a', type: 'sample', payload: { n: 1 } },
    { name: 'b', type: 'sample', payload: '@<a.out::/x>' },
  ];
  const { status, body } = await acme('POST', '/agenda', { customerId: 'acme', operations, ...more });
  expect(status).toBe(201);
  await admitBatch(database, { insightId: 'all', batchId: body.id });
  return body;
}

const start = (agendaId: string, operation: string) => ({
  agendaId,
  attempt: 1,
  operation,
  place: 'local:here',
  worker: 'w1',
  scheduledTime: 1_782_864_000_000,
});
const fence = (agendaId: string, operation: string) => ({
  agendaId,
  attempt: 1,
  operation,
  operationAttempt: 1,
  launch: 1,
});

describe('the ResourcePool service', () => {
  test('takes an Operation from start to end, as its progress shows', async () => {
    const { id, progressId } = await running();
    await acme('POST', '/agenda', { customerId: 'acme', operations: [{ name: 'a', type: 'sample' }], linkId: 'waits' });
    api.woken.length = 0;
    const started = await pool('POST', `${service}/startOperation`, { items: [start(id, 'a'), start('unknown', 'a')] });
    expect(started).toMatchObject({
      status: 200,
      body: {
        items: [
          {
            verdict: 'run',
            operationAttempt: 1,
            launch: 1,
            type: 'sample',
            customerId: 'acme',
            payload: '{"n":1}',
            progressId: `${progressId}-a`,
          },
          { verdict: 'over' },
        ],
      },
    });
    expect(api.woken).toEqual(['all']);
    const reported = await pool('POST', `${service}/reportProgress`, {
      items: [{ ...fence(id, 'a'), percentComplete: 40, message: 'half way', startedTime: 1_782_864_001_000 }],
    });
    expect(reported.body).toEqual({ items: [{ verdict: 'ok' }] });
    const during = (await acme('GET', `/progress/operation/${progressId}-a`)).body;
    expect(during).toMatchObject({
      agendaProgressId: progressId,
      operation: 'a',
      processingState: 'EXECUTING',
      processingStateMessage: 'half way',
      percentComplete: 40,
      attemptCount: 1,
      launch: 1,
      scheduledTime: 1_782_864_000_000,
      admittedTime: expect.any(Number),
    });

    const finish = {
      ...fence(id, 'a'),
      outcome: 'succeeded',
      result: '{"x":[1,"ü"]}',
      endedTime: 1_782_864_002_000,
      noticedTime: 1_782_864_002_500,
    };
    const items = [{ ...finish, log: { output: 'one\ntwo\n', totalBytes: 8 } }];
    expect((await pool('POST', `${service}/finishOperation`, { items })).body).toEqual({
      items: [{ verdict: 'stored', outcome: 'succeeded' }],
    });
    expect((await acme('GET', `/progress/operation/${progressId}-a`)).body).toMatchObject({
      processingState: 'COMPLETE',
      processingStateMessage: 'succeeded',
      percentComplete: 100,
      resultPayload: '{"x":[1,"ü"]}',
      endedTime: 1_782_864_002_000,
      noticedTime: 1_782_864_002_500,
      completedTime: expect.any(Number),
    });
    expect((await acme('GET', `/agenda/${id}/logs`)).body.all).toMatchObject([
      { operation: 'a', output: 'one\ntwo\n', totalBytes: 8 },
    ]);
    const joined = (await acme('GET', `/progress/agenda/${progressId}`)).body;
    expect(joined.operationProgress.map((item: { operation: string }) => item.operation)).toEqual(['a', 'b']);
    expect(joined).toMatchObject({ processingState: 'EXECUTING', percentComplete: 50 });
  });

  test('gives nothing of one pool to another, and nothing to a customer', async () => {
    const { id, progressId } = await running();
    expect((await otherPool('POST', `${service}/startOperation`, { items: [start(id, 'a')] })).body).toEqual({
      items: [{ verdict: 'over' }],
    });
    expect((await acme('POST', `${service}/startOperation`, { items: [start(id, 'a')] })).status).toBe(403);
    expect((await api.anonymous('POST', `${service}/startOperation`, { items: [start(id, 'a')] })).status).toBe(401);
    expect((await pool('GET', `/progress/agenda/${progressId}`)).status).toBe(403);
    expect((await acme('GET', `/progress/operation/${progressId}-a`)).body).toMatchObject({
      processingState: 'WAITING',
      launch: 0,
    });
  });

  test('refuses what it does not know', async () => {
    expect(
      await pool('POST', `${service}/startOperation`, { items: [{ ...start('x', 'a'), extra: 1 }] }),
    ).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/items/0/extra', code: 'unknownField' }] },
    });
    expect((await pool('POST', `${service}/finishOperation`, { items: [] })).status).toBe(422);
    expect((await pool('GET', `${service}/finishOperation`)).status).toBe(405);
  });

  test('stores results and diagnostics with characters that Postgres cannot hold', async () => {
    const { id, progressId } = await running();
    await pool('POST', `${service}/startOperation`, { items: [start(id, 'a')] });
    const text = 'a\u0000b\ud800';
    const progress = { ...fence(id, 'a'), message: text, params: { text }, diagnosticEvents: [{ message: text }] };
    expect((await pool('POST', `${service}/reportProgress`, { items: [progress] })).body).toEqual({
      items: [{ verdict: 'ok' }],
    });
    const finish = {
      ...fence(id, 'a'),
      outcome: 'failed',
      result: JSON.stringify({ text }),
      diagnosticEvents: [{ message: text, payload: [text] }],
      log: { output: text, totalBytes: 5 },
    };
    expect((await pool('POST', `${service}/finishOperation`, { items: [finish] })).body).toEqual({
      items: [{ verdict: 'stored', outcome: 'failed' }],
    });
    expect((await acme('GET', `/progress/operation/${progressId}-a`)).body).toMatchObject({
      processingStateMessage: 'failed',
      resultPayload: '{"text":"a\\u0000b\\ud800"}',
      params: { text },
    });
  });
});

describe('lists of progress', () => {
  test('are found by each key and joined only when asked', async () => {
    const { id, progressId } = await running({ linkId: 'link', title: 'title', params: { externalId: 'ext' } });
    const found = async (query: string) => (await acme('GET', `/progress/agenda?${query}`)).body.all;
    for (const query of [
      `byId=${progressId}`,
      'byLinkId=link',
      'byTitle=title',
      `byAgendaId=${id}`,
      'byExternalId=ext',
      'byLinkId=link&byInsightId=all&byResourcePoolId=pool&byCustomerId=acme',
    ]) {
      expect((await found(query)).map((item: { id: string }) => item.id)).toEqual([progressId]);
    }
    expect((await found('byLinkId=link'))[0]).not.toHaveProperty('operationProgress');
    expect((await found('byLinkId=link&fields=operationProgress'))[0].operationProgress).toHaveLength(2);
    expect(await found('byLinkId=link&fields=id,title')).toEqual([{ id: progressId, title: 'title' }]);
    expect((await acme('GET', '/progress/agenda?byLinkId=link&countOnly=true')).body).toMatchObject({
      count: 1,
      all: [],
    });
    expect((await acme('GET', '/progress/agenda?byLinkId=link&byInsightId=none&countOnly=true')).body.count).toBe(0);
  });

  test('of Operations carry no results unless asked', async () => {
    const { id, progressId } = await running();
    await pool('POST', `${service}/startOperation`, { items: [start(id, 'a')] });
    await pool('POST', `${service}/finishOperation`, {
      items: [{ ...fence(id, 'a'), outcome: 'succeeded', result: '{"x":1}' }],
    });
    const found = async (query: string) => (await acme('GET', `/progress/operation?${query}`)).body.all;
    const all = await found(`byAgendaProgressId=${progressId}`);
    expect(all).toMatchObject([{ operation: 'a' }, { operation: 'b' }]);
    expect(all[0]).not.toHaveProperty('resultPayload');
    expect(await found(`byAgendaId=${id}&byOperation=a&fields=operation,resultPayload`)).toEqual([
      { operation: 'a', resultPayload: '{"x":1}' },
    ]);
    expect(await found(`byAgendaId=${id}&byState=WAITING`)).toMatchObject([{ operation: 'b' }]);
    const first = (await acme('GET', `/progress/operation?byAgendaId=${id}&limit=1&fields=resultPayload`)).body;
    expect(first).toMatchObject({ count: 1, nextCursor: expect.any(String) });
  });

  test('tell how all ended, and are found by it', async () => {
    const { id, progressId } = await running({ linkId: 'outcomes' });
    await pool('POST', `${service}/startOperation`, { items: [start(id, 'a')] });
    const agendas = async (query: string) =>
      (await acme('GET', `/progress/agenda?byLinkId=outcomes&fields=agendaId,outcome,failing${query}`)).body.all;
    expect(await agendas('')).toEqual([{ agendaId: id, failing: false }]);
    await pool('POST', `${service}/finishOperation`, {
      items: [{ ...fence(id, 'a'), outcome: 'failed', ending: 'timedOut', category: 'timeout', code: 'runLimit' }],
    });
    expect(await agendas('')).toEqual([{ agendaId: id, failing: true }]);
    await finishAgenda(database, { agendaId: id, attempt: 1 }, { outcome: 'failed' });
    expect(await agendas('&byOutcome=failed')).toEqual([{ agendaId: id, outcome: 'failed', failing: true }]);
    expect(await agendas('&BYOUTCOME=succeeded')).toEqual([]);
    const operations = async (query: string) =>
      (await acme('GET', `/progress/operation?byAgendaId=${id}&fields=operation,outcome${query}`)).body.all;
    expect(await operations('')).toEqual([
      { operation: 'a', outcome: 'timedOut' },
      { operation: 'b', outcome: 'skipped' },
    ]);
    expect(await operations('&byOutcome=skipped')).toEqual([{ operation: 'b', outcome: 'skipped' }]);
    expect((await acme('GET', `/progress/operation?byAgendaId=${id}&byState=WAITING&countOnly=true`)).body.count).toBe(
      0,
    );
    expect((await acme('GET', `/progress/agenda/${progressId}`)).body).toMatchObject({
      ...{ outcome: 'failed', failing: true, percentComplete: 0 },
      operationProgress: [
        { processingStateMessage: 'failed', outcome: 'timedOut' },
        {
          ...{ processingState: 'COMPLETE', processingStateMessage: 'skipped', outcome: 'skipped' },
          diagnosticEvents: [{ code: 'skipped', message: 'Not started: Operation a timed out' }],
        },
      ],
    });
  });

  test('of what an older version ended tell the outcome before a sweep fills it in', async () => {
    const { id, progressId } = await running();
    const operations = await database.$client`
      update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'abandoned'
      where agenda_id = ${id} returning 1`;
    expect(operations).toHaveLength(2);
    await database.$client`
      update agenda_progress set processing_state = 'COMPLETE', processing_state_message = 'cancelled'
      where agenda_id = ${id}`;
    expect((await acme('GET', `/progress/agenda/${progressId}`)).body).toMatchObject({
      ...{ outcome: 'cancelled', failing: false },
      operationProgress: [{ outcome: 'abandoned' }, { outcome: 'abandoned' }],
    });
  });

  test.each([
    ['agenda', agendaOutcomes],
    ['operation', operationOutcomes],
  ])('refuse an outcome that no %s has, and name those there are', async (what, outcomes) => {
    const { status, body } = await acme('GET', `/progress/${what}?byOutcome=Failed`);
    expect(status).toBe(400);
    for (const word of ['byOutcome', ...outcomes]) expect(JSON.stringify(body)).toContain(word);
  });

  test('have their outcomes in the document, as closed lists', async () => {
    const { body } = await acme('GET', '/openapi.json');
    const { AgendaProgress, OperationProgress } = body.components.schemas;
    expect(AgendaProgress.properties.outcome.enum).toEqual(agendaOutcomes);
    expect(OperationProgress.properties.outcome.enum).toEqual(operationOutcomes);
    expect(AgendaProgress.properties.failing.type).toBe('boolean');
    for (const [path, outcomes] of [
      ['/progress/agenda', agendaOutcomes],
      ['/progress/operation', operationOutcomes],
    ] as const) {
      const [, documented] = Object.entries<{ get: { parameters: { name: string; schema: unknown }[] } }>(
        body.paths,
      ).find(([own]) => own.endsWith(path)) ?? ['', undefined];
      expect(documented?.get.parameters.find(({ name }) => name === 'byOutcome')?.schema).toMatchObject({
        enum: outcomes,
      });
    }
  });

  test('of an Operation are found by id, whatever its name', async () => {
    const name = 'a/b c?d#é%2F';
    const { progressId } = await running({ operations: [{ name, type: 'sample' }] });
    const { body } = await acme('GET', `/progress/operation/${encodeURIComponent(`${progressId}-${name}`)}`);
    expect(body).toMatchObject({ operation: name, id: `${progressId}-${name}` });
  });

  test('hold nothing of other customers', async () => {
    const { id, progressId } = await running({ linkId: 'hidden' });
    expect((await other('GET', `/progress/agenda/${progressId}`)).status).toBe(404);
    expect((await other('GET', `/progress/agenda/${progressId}?wait=5s`)).status).toBe(404);
    expect((await other('GET', `/progress/operation/${progressId}-a`)).status).toBe(404);
    expect((await other('GET', '/progress/agenda?byLinkId=hidden')).body.count).toBe(0);
    expect((await other('GET', `/progress/operation?byAgendaId=${id}&countOnly=true`)).body.count).toBe(0);
  });
});

describe('a long poll', () => {
  test('answers when the Agenda is complete', async () => {
    const { body } = await acme('POST', '/agenda', { customerId: 'acme', operations: [{ name: 'a', type: 'sample' }] });
    const polls = Array.from({ length: 20 }, () => acme('GET', `/progress/agenda/${body.progressId}?wait=25s`));
    const begun = performance.now();
    await acme('POST', `/agenda/${body.id}/cancel`);
    for (const poll of await Promise.all(polls))
      expect(poll.body).toMatchObject({ processingState: 'COMPLETE', processingStateMessage: 'cancelled' });
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect((await acme('GET', `/progress/agenda/${body.progressId}?wait=25s`)).body.processingState).toBe('COMPLETE');
  });

  test('answers with what there is when the time is up', async () => {
    const { body } = await acme('POST', '/agenda', { customerId: 'acme', operations: [{ name: 'a', type: 'sample' }] });
    const answer = await acme('GET', `/progress/agenda/${body.progressId}?wait=300ms`);
    expect(answer).toMatchObject({ status: 200, body: { processingState: 'WAITING' } });
  });

  test.each(['30m', 'x', '-1s', '301s'])('refuses wait=%s', async (wait) => {
    expect((await acme('GET', `/progress/agenda/x?wait=${wait}`)).status).toBe(400);
  });
});

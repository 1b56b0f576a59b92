/**
 * Bodies that kept the process busy for seconds or ended it, sent to a real process while somebody else asks on another
 * connection.
 */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mostFaults } from '../../agenda/fault-list.ts';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import { createKey } from '../../db/settings/first-key.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { type RunningApi, startApi } from '../../test/support/test-process.ts';
import { maximumCheckedValues } from './json-body.ts';

/** More than any problem has: ten faults, each told three times. */
const largestProblem = 32 * 1024;
const mostLivezMilliseconds = 5_000;

let database: TestDatabase;
let api: RunningApi;
let submitter: { readonly key: string; readonly prefix: string };
let admin: string;
let pool: string;

beforeAll(async () => {
  database = await testDatabase();
  const stored = { accounts: ['acme'], superUser: false };
  submitter = await createKey(database, 'test', { ...stored, scopes: ['submit', 'read'] });
  admin = (await createKey(database, 'test', { ...stored, superUser: true, scopes: ['admin'] })).key;
  pool = (await createKey(database, 'test', { ...stored, scopes: ['pool:p'] })).key;
  api = await startApi(database.url);
  for (const [path, body] of [
    ['/resourcepool', { id: 'p', customerId: 'acme' }],
    ['/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'p' }],
    ['/insight', { id: 'i', customerId: 'acme', title: 'I', resourcePoolId: 'p', mappers: { always: ['true'] } }],
  ] as const) {
    const headers = { Authorization: `Bearer ${admin}`, 'Content-Type': 'application/json' };
    const made = await fetch(api.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(made.status).toBe(201);
  }
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

interface Sent {
  readonly status: number;
  readonly text: string;
  readonly cid: string;
  /** What was answered, in order. */
  readonly order: readonly ('livez' | 'body')[];
  readonly livezMilliseconds: number;
}

/** Sends the body; in the moment of its last byte it asks `/livez` on a connection that is open already. */
async function send(path: string, body: string, key: string): Promise<Sent> {
  const { hostname, port } = new URL(api.url);
  const bytes = Buffer.from(body);
  const order: ('livez' | 'body')[] = [];
  const other = connect(Number(port), hostname);
  await once(other, 'connect');
  const posted = request(api.url + path, {
    method: 'POST',
    agent: false,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', 'Content-Length': bytes.length },
  });
  await new Promise<void>((resolve, reject) => {
    posted.once('error', reject);
    posted.write(bytes.subarray(0, -1), () => resolve());
  });
  // Everything but the last byte has arrived when the process has read so much of it that it has turns for others
  // again.
  other.write('GET /livez HTTP/1.1\r\nHost: api\r\n\r\n');
  await once(other, 'data');

  const begun = performance.now();
  const answered = once(posted, 'response').then(([response]) => {
    order.push('body');
    return response;
  });
  posted.end(bytes.subarray(-1));
  other.write('GET /livez HTTP/1.1\r\nHost: api\r\n\r\n');
  const [livez] = await once(other, 'data');
  order.push('livez');
  const livezMilliseconds = performance.now() - begun;
  expect(String(livez)).toMatch(/^HTTP\/1\.1 200 /);
  other.destroy();
  const response = await answered;
  const text = Buffer.concat(await response.toArray()).toString();
  return { status: response.statusCode, text, cid: String(response.headers['x-pop-cid']), order, livezMilliseconds };
}

function expectNobodyWaited(sent: Sent): void {
  expect(sent.order).toEqual(['livez', 'body']);
  expect(sent.livezMilliseconds).toBeLessThan(mostLivezMilliseconds);
  expect(api.process.exitCode ?? api.process.signalCode).toBeNull();
}

const agenda = (more: string, operations = '[{"name":"a","type":"t"}]'): string =>
  `{"customerId":"acme","operations":${operations}${more}}`;
const list = (count: number, entry: string): string => `[${Array(count).fill(entry).join(',')}]`;
const inPayload = (payload: string): string =>
  agenda('', `[{"name":"a","type":"t"},{"name":"b","type":"t","payload":${payload}}]`);
const longName = 'n'.repeat(100_000);
const dependingOn = (each: number): string => {
  const operations = Array.from(
    { length: 500 },
    (_, index) => `{"name":"o${index}","type":"t","dependsOn":${list(each, '1')}}`,
  );
  return agenda('', `[${operations}]`);
};
const names = (count: number): string => `{${Array.from({ length: count }, (_, index) => `"u${index}":1`)}}`;

test.each([
  [
    'a name of 100 KB over 60,000 numbers that are not finite',
    agenda(`,"${longName}":${list(60_000, '1e999')}`),
    'notFinite',
    60_000,
  ],
  [
    'a name of 100 KB over 30,000 NUL characters',
    agenda(`,"${longName}":${list(30_000, '"\\u0000"')}`),
    'badCharacter',
    30_000,
  ],
  [
    '300,000 numbers that are not finite, nested 240 deep',
    inPayload(`${'['.repeat(240)}${list(300_000, '1e999').slice(1, -1)}${']'.repeat(240)}`),
    'notFinite',
    300_000,
  ],
  ['140,000 numbers in dependsOn', dependingOn(280), 'dependsOnMalformed', 140_000],
  [
    '140,000 unknown names inside peak',
    agenda(`,"peak":{"slots":1,${names(140_000).slice(1)}`),
    'unknownField',
    140_000,
  ],
  ['80,000 references to nothing', inPayload(list(80_000, '"@<z.out>"')), 'unknownReference', 80_000],
])('%s: ten faults are told and all are counted, and nobody waits', async (_, body, code, total) => {
  for (const path of ['/agenda', '/agenda/service/validate']) {
    const sent = await send(path, body, submitter.key);
    expectNobodyWaited(sent);
    expect(sent.status).toBe(422);
    expect(sent.text.length).toBeLessThan(largestProblem);
    const { errors } = JSON.parse(sent.text);
    expect(errors).toHaveLength(mostFaults + 1);
    for (const fault of errors.slice(0, mostFaults)) {
      expect(fault.code).toBe(code);
      expect(fault.pointer.length).toBeLessThanOrEqual(201);
    }
    expect(errors.at(-1).message).toBe(`[Truncating additional issues] ${total} in total`);
  }
});

test.each([
  ['900,000 numbers in dependsOn', dependingOn(1_800)],
  ['900,000 unknown names inside peak', agenda(`,"peak":${names(900_000)}`)],
  ['900,000 entries of an unknown field', agenda(`,"u":${list(900_000, '1')}`)],
  ['900,000 names inside a payload', inPayload(names(900_000)), maximumPayloadBytes],
])('%s are more than are looked at, and nobody waits', async (_, body, limit: number = maximumCheckedValues) => {
  const sent = await send('/agenda/service/validate', body, submitter.key);
  expectNobodyWaited(sent);
  expect(JSON.parse(sent.text)).toMatchObject({ status: 413, detail: expect.stringContaining(String(limit)) });
});

test.each([
  ['a payload of 500,000 numbers', inPayload(list(500_000, '1'))],
  ['a payload of 90,000 references', inPayload(list(90_000, '"@<a.out>"'))],
  [
    '500 Operations that each depend on all before',
    agenda(
      '',
      `[${Array.from({ length: 500 }, (_, index) => {
        const dependsOn = Array.from({ length: index }, (_, on) => `"o${on}"`);
        return `{"name":"o${index}","type":"t","dependsOn":[${dependsOn}]}`;
      })}]`,
    ),
  ],
])('%s: it is good, and nobody waits', async (_, body) => {
  for (const [path, status] of [
    ['/agenda/service/validate', 200],
    ['/agenda', 201],
  ] as const) {
    const sent = await send(path, body, submitter.key);
    expectNobodyWaited(sent);
    expect(sent.status).toBe(status);
  }
});

test('settings and reports of pools with more than 100,000 faults are refused the same way', async () => {
  const insight = `{"customerId":"acme","title":"t","resourcePoolId":"p","allowedCustomerIds":${list(140_000, '1')}}`;
  const settings = await send('/insight', insight, admin);
  expectNobodyWaited(settings);
  expect(settings.status).toBe(422);
  expect(JSON.parse(settings.text).errors).toHaveLength(1);
  const mappers =
    '{"customerId":"acme","title":"t","resourcePoolId":"p",' +
    `"mappers":{"${longName}":[],"paramMap":${list(1_000, '""')}}}`;
  expect(JSON.parse((await send('/insight', mappers, admin)).text).errors.at(-1).message).toContain('1001 in total');
  const report =
    '{"items":[{"agendaId":"x","attempt":1,"operation":"a","operationAttempt":1,"launch":1,' +
    `"params":{"p":${list(140_000, '1e999')}}}]}`;
  const reported = await send('/resourcepool/service/reportProgress', report, pool);
  expectNobodyWaited(reported);
  expect(JSON.parse(reported.text)).toMatchObject({
    status: 422,
    errors: expect.arrayContaining([expect.objectContaining({ code: 'truncated' })]),
  });
  expect(reported.text.length).toBeLessThan(largestProblem);
});

test('the begin of a large request is logged with the prefix of its key, before its end is', async () => {
  const body = agenda(`,"u":"${'x'.repeat(300_000)}"`);
  const { cid } = await send('/agenda/service/validate', body, submitter.key);
  await expect
    .poll(() => api.lines.filter((line) => line.cid === cid))
    .toEqual([
      expect.objectContaining({
        message: 'large request begun',
        actor: submitter.prefix,
        bytes: body.length,
        path: '/v1/agenda/service/validate',
      }),
      expect.objectContaining({ message: 'request', actor: submitter.prefix }),
    ]);
});

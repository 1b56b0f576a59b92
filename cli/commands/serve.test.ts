import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { customer, insight, resourcePool } from '../../db/schema.ts';
import { createKey } from '../../db/settings/first-key.ts';
import { freePort } from '../../machine/free-port.ts';
import { type Program, startProgram } from '../../test/support/program.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
let key: string;
beforeAll(async () => {
  database = await testDatabase();
  ({ key } = await createKey(database, 'test', { accounts: [], superUser: true, scopes: ['admin'] }));
  const owned = { cid: 'test', customerId: 'acme' };
  await database.insert(resourcePool).values({ ...owned, id: 'pool' });
  await database.insert(customer).values({ ...owned, id: 'acme', title: 'Acme', resourcePoolId: 'pool' });
  const everything = { resourcePoolId: 'pool', mappers: { always: [] }, isGlobal: true };
  await database.insert(insight).values({ ...owned, ...everything, id: 'all', title: 'All' });
});
afterAll(() => database[Symbol.asyncDispose]());

interface Served extends AsyncDisposable {
  readonly program: Program;
  readonly url: string;
  readonly probes: string;
}

const urlOf = (program: Program, message: string) =>
  vi.waitFor(
    () => {
      const line = program.lines.find((one) => typeof one !== 'string' && one.message === message);
      expect(line, program.lines.map((one) => JSON.stringify(one)).join('\n')).toBeDefined();
      return String((line as Record<string, unknown>).url);
    },
    { timeout: 20_000, interval: 20 },
  );

/** Settings come from both sides here, and options win: the variable's port is nobody's. */
async function serve(...args: string[]): Promise<Served> {
  const program = startProgram(
    'cli/pop.ts',
    { DATABASE_URL: database.url, PORT: '-1', TEMPORAL_ADDRESS: '127.0.0.1:1' },
    [...['serve', '--port', '0', '--health-port', '0'], ...args],
  );
  const [url, probes] = await Promise.all([urlOf(program, 'api ready'), urlOf(program, 'probes ready')]);
  return { program, url, probes, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}

const headers = () => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' });

/** A request whose body is not complete yet. */
async function beginCustomer(url: string, id: string): Promise<ClientRequest> {
  const late = request(`${url}/customer`, { method: 'POST', headers: headers() });
  late.on('error', () => undefined);
  late.write(`{"id":"${id}","customerId":"${id}","resourcePoolId":"pool",`);
  // Taken in by the time another one is answered that was begun later.
  await once(late, 'socket');
  await vi.waitFor(() => expect(late.socket?.bytesWritten).toBeGreaterThan(0));
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  return late;
}

test('told to end it is not ready, answers who waits, finishes what it began, and ends with 0', async () => {
  await using served = await serve();
  const { program, url, probes } = served;
  expect(await (await fetch(probes)).json()).toEqual({ status: 'ok' });
  const submitted = await fetch(`${url}/agenda`, {
    ...{ method: 'POST', headers: headers() },
    body: JSON.stringify({ customerId: 'acme', operations: [{ name: 'a', type: 'sample' }] }),
  });
  expect(submitted.status).toBe(201);
  const { progressId } = (await submitted.json()) as { progressId: string };
  const waiting = fetch(`${url}/progress/agenda/${progressId}?wait=60s`, { headers: headers() });
  const late = await beginCustomer(url, 'late');
  expect(await Promise.race([waiting, 'it waits'])).toBe('it waits');

  program.process.kill('SIGTERM');
  await program.says('shutting down');
  const begun = performance.now();
  const ready = await fetch(probes);
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'draining', reason: 'shutting down: SIGTERM' }]);
  expect((await fetch(probes.replace('/readyz', '/livez'))).status).toBe(200);
  const answer = await waiting;
  expect([answer.status, ((await answer.json()) as { processingState: string }).processingState]).toEqual([
    200,
    'WAITING',
  ]);
  await expect(fetch(`${url}/livez`)).rejects.toThrow('fetch failed');

  late.end('"title":"Late"}');
  const [response] = (await once(late, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(201);
  response.resume();
  expect(await program.exited).toBe(0);
  // Far from the time it may take: nobody was cut off.
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test('what does not end in its time is cut, which is an orderly end; a second SIGTERM waits for nothing', async () => {
  await using short = await serve('--drain-seconds', '0.5');
  const cut = await beginCustomer(short.url, 'cut');
  const broken = once(cut, 'error');
  short.program.process.kill('SIGTERM');
  expect(await short.program.exited).toBe(0);
  expect(await broken).toMatchObject([{ code: 'ECONNRESET' }]);

  await using long = await serve('--drain-seconds', '600');
  await beginCustomer(long.url, 'never');
  long.program.process.kill('SIGTERM');
  await long.program.says('shutting down');
  long.program.process.kill('SIGTERM');
  expect(await long.program.exited).toBe(1);
  await long.program.says('ending at once');
});

test('while it waits for Postgres it is alive and not ready, and a SIGTERM ends it with 0', async () => {
  const nobody = `postgres://127.0.0.1:${await freePort(0)}/pop`;
  await using program = startProgram('cli/pop.ts', { POP_HEALTH_PORT: '0' }, ['serve', '--database', nobody]);
  const probes = await urlOf(program, 'probes ready');
  const ready = await fetch(probes);
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'starting', reason: 'waiting for Postgres' }]);
  expect((await fetch(probes.replace('/readyz', '/livez'))).status).toBe(200);
  program.process.kill('SIGTERM');
  expect(await program.exited).toBe(0);
});

test('settings that are missing or wrong are told all at once, by option and variable', async () => {
  const settings = { TEMPORAL_API_KEY: 'k', TEMPORAL_TLS: 'false', TEMPORAL_ADDRESS: 'temporal.example:7233' };
  await using program = startProgram('cli/pop.ts', settings, ['serve', '--port', 'x', '--log-level', 'loud']);
  expect(await program.exited).toBe(2);
  const said = program.lines.join('\n');
  for (const part of [
    'pop serve: settings are missing or wrong:',
    '--database <url> (DATABASE_URL) is missing',
    '--port <port> (PORT) must be a port number, not "x"',
    '--log-level <level> (LOG_LEVEL) must be one of',
    '--temporal-tls (TEMPORAL_TLS) is false, and TEMPORAL_API_KEY would go to temporal.example:7233',
  ])
    expect(said).toContain(part);
});

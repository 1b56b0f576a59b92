import { once } from 'node:events';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { createKey } from '../db/settings/first-key.ts';
import { testDatabase } from '../test/support/test-database.ts';
import { startApi } from '../test/support/test-process.ts';

test('the process starts and accepts without Temporal, finishes what runs when told to go, and ends', async () => {
  await using database = await testDatabase();
  const { key } = await createKey(database, 'test', { accounts: [], superUser: true, scopes: ['admin'] });
  await using api = await startApi(database.url);
  const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
  const post = (path: string, body: unknown) =>
    fetch(`${api.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });

  expect((await fetch(`${api.url}/readyz`)).status).toBe(200);
  expect((await fetch(`${api.url.replace('/v1', '')}/livez`)).status).toBe(200);
  expect((await post('/resourcepool', { id: 'p', customerId: 'acme' })).status).toBe(201);
  expect((await post('/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'p' })).status).toBe(
    201,
  );
  expect(
    (
      await post('/insight', {
        id: 'http://in/si?ght',
        customerId: 'acme',
        title: 'I',
        resourcePoolId: 'p',
        mappers: { operationType: ['sample'] },
      })
    ).status,
  ).toBe(201);
  expect((await fetch(`${api.url}/insight/${encodeURIComponent('http://in/si?ght')}`, { headers })).status).toBe(200);
  expect((await post('/agenda', { customerId: 'acme', operations: [{ name: 'a', type: 'sample' }] })).status).toBe(201);
  // A body beyond the limit is refused by its length, before it was sent.
  const refused = request(`${api.url}/customer`, {
    method: 'POST',
    headers: { ...headers, 'Content-Length': 64 * 1024 * 1024 },
  });
  refused.on('error', () => undefined);
  refused.flushHeaders();
  const [answer] = await once(refused, 'response');
  expect(answer.statusCode).toBe(413);
  refused.destroy();

  // Half a request is on its way when the process is told to go.
  const late = request(`${api.url}/customer`, {
    method: 'POST',
    headers: { ...headers, 'Transfer-Encoding': 'chunked' },
  });
  late.write('{"id":"late","customerId":"acme",');
  await expect.poll(() => fetch(`${api.url}/livez`).then((response) => response.status)).toBe(200);
  const ended = once(api.process, 'exit');
  api.process.kill('SIGTERM');
  await expect.poll(() => api.lines.some((line) => line.message === 'shutting down')).toBe(true);
  late.end('"title":"Late"}');
  const [lateAnswer] = await once(late, 'response');
  expect(lateAnswer.statusCode).toBe(201);
  lateAnswer.resume();
  expect(await ended).toEqual([0, null]);
  expect(api.lines.at(-1)).toMatchObject({ message: 'api ended', part: 'api' });
});

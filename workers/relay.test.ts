import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { serveRelay } from './relay.ts';

const log = pino({ level: 'silent' });

/** An api that remembers what it was asked, and a relay before it. */
async function relayed() {
  const asked: { url: string | undefined; authorization: string | undefined; body: string }[] = [];
  const api = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push({ url: request.url, authorization: request.headers.authorization, body });
    response.writeHead(200).end('{"verdicts":[{"verdict":"ok"}]}');
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}/v1`;
  const relay = await serveRelay({ host: '127.0.0.1', port: 0, url, log });
  const base = `http://127.0.0.1:${relay.port}/v1/resourcepool/service`;
  const post = (path: string, authorization: string, body = '{"items":[]}') =>
    fetch(`${base}/${path}`, { method: 'POST', headers: { authorization }, body });
  const close = () => new Promise((resolve) => api.close(resolve).closeAllConnections());
  return {
    asked,
    post,
    close,
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      if (api.listening) await close();
    },
  };
}

test('a report with the token of a launch is passed on as it is, and so is the answer', async () => {
  await using at = await relayed();
  const answer = await at.post('finishOperation', 'Bearer popl_abc', '{"items":[1]}');
  expect({ status: answer.status, body: await answer.json() }).toEqual({
    status: 200,
    body: { verdicts: [{ verdict: 'ok' }] },
  });
  const url = '/v1/resourcepool/service/finishOperation';
  expect(at.asked).toEqual([{ url, authorization: 'Bearer popl_abc', body: '{"items":[1]}' }]);
});

test.each([
  ['another key', 'reportProgress', 'Bearer pop_live_x', '{}', 403],
  ['no key', 'reportProgress', '', '{}', 403],
  ['another path', 'startOperation', 'Bearer popl_abc', '{}', 404],
  ['a path that climbs', '../../agenda?/resourcepool/service/x', 'Bearer popl_abc', '{}', 404],
  ['a body that is too large', 'reportProgress', 'Bearer popl_abc', 'x'.repeat(4 * 1024 * 1024 + 1), 413],
])('%s is not passed on', async (_, path, authorization, body, status) => {
  await using at = await relayed();
  const answer = await at.post(path, authorization, body);
  expect({ status: answer.status, asked: at.asked }).toEqual({ status, asked: [] });
});

test('while the api is away the handler is told to try again', async () => {
  await using at = await relayed();
  await at.close();
  expect((await at.post('reportProgress', 'Bearer popl_abc')).status).toBe(503);
});

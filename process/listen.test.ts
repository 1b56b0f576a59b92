import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { listen } from './listen.ts';

test('a connection that cannot be taken is logged, and the next one is served', async () => {
  const told: unknown[] = [];
  const server = createServer((_, response) => response.end('served'));
  const port = await listen(server, {
    host: '127.0.0.1',
    port: 0,
    log: { error: (fields: unknown) => told.push(fields) },
  });
  const trouble = Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' });
  server.emit('error', trouble);
  expect(told).toEqual([{ err: trouble }]);
  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('served');
  server.close();
});

test('an address that is taken is an error of who wants to listen', async () => {
  const first = createServer();
  const port = await listen(first, { host: '127.0.0.1', port: 0, log: { error: () => undefined } });
  const second = listen(createServer(), { host: '127.0.0.1', port, log: { error: () => undefined } });
  await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
  first.close();
});

/**
 * The driver must survive a connection that closes in the middle of a transaction; `scripts/mend-driver.mjs` sees to
 * that.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { testDatabase } from '../test/support/test-database.ts';
import { openDatabase } from './connect.ts';

/** A way to the database that can be cut. */
async function door(url: string) {
  const { hostname, port } = new URL(url);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = connect(Number(port), hostname);
    socket.pipe(upstream).pipe(socket);
    for (const each of [socket, upstream]) {
      each.on('error', () => each.destroy());
      open.add(each.once('close', () => open.delete(each)));
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const through = new URL(url);
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    /** `reset`: as a killed server's host does; else as one that closes. */
    cut: (how: 'reset' | 'close') => {
      for (const socket of open) how === 'reset' ? socket.resetAndDestroy() : socket.destroy();
    },
    [Symbol.dispose]: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

for (const how of ['close', 'reset'] as const) {
  test(`a transaction whose connection is cut (${how}) fails alone, and its place in the pool works on`, async () => {
    await using own = await testDatabase();
    using way = await door(own.url);
    await using database = openDatabase(way.url, { connections: 1 });
    const sql = database.$client;
    for (let round = 0; round < 3; round += 1) {
      const cutInMiddle = sql.begin(async (transaction) => {
        await transaction`select 1`;
        way.cut(how);
        // One that is on its way when the connection closes, then the driver's own rollback; long and new, so that each
        // path is taken.
        await transaction`select ${`${round} ${'x'.repeat(round * 2000)}`}::text, pg_sleep(30)`;
      });
      await expect(cutInMiddle).rejects.toMatchObject({ code: expect.stringMatching(/CONNECTION|ECONN|EPIPE/) });
      // One that is only given to the transaction after that.
      let late: Promise<unknown> = Promise.resolve();
      const cutBetween = sql.begin(async (transaction) => {
        await transaction`select 2`;
        way.cut(how);
        await new Promise<void>((resolve) => void cutBetween.catch(() => resolve()));
        late = transaction`select 3`;
        await late;
      });
      await expect(cutBetween).rejects.toThrow();
      await nextTurn();
      await expect(late).rejects.toThrow(/CONNECTION_CLOSED/);
      expect(await sql`select 4 as four`).toEqual([{ four: 4 }]);
    }
  });
}

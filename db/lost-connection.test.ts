/**
 * The driver must survive a connection that closes in the middle of a transaction, or while it is being made;
 * `scripts/mend-driver.mjs` sees to that. A rejection that nobody takes fails these tests.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { testDatabase } from '../test/support/test-database.ts';
import { openDatabase } from './connect.ts';

/** A way to the database that can be cut. `heard` is told what the driver says before the database is. */
async function door(
  url: string,
  heard: (socket: Socket, said: string) => void = () => undefined,
  opened: (socket: Socket) => void = () => undefined,
) {
  const { hostname, port } = new URL(url);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    opened(socket);
    socket.on('data', (said) => heard(socket, said.toString()));
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
    /** Takes no connection any more. */
    shut: () => void server.close(),
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

test('a transaction whose statement runs as the connection is reset fails alone, and its place works on', async () => {
  await using own = await testDatabase();
  using way = await door(own.url, (_, said) => {
    // Without parameters it is sent at once, and so is the rollback after it.
    if (said.includes('pg_sleep')) setTimeout(() => way.cut('reset'), 50);
  });
  await using database = openDatabase(way.url, { connections: 1 });
  const sql = database.$client;
  const failed = sql.begin(async (transaction) => {
    await transaction`select 1`;
    await transaction`select pg_sleep(30)`;
  });
  await expect(failed).rejects.toMatchObject({ code: expect.stringMatching(/CONNECTION|ECONN|EPIPE/) });
  for (const n of [2, 3, 4]) expect(await sql`select ${n}::int as n`).toEqual([{ n }]);
  expect(await sql.begin(async (transaction) => transaction`select 5 as n`)).toEqual([{ n: 5 }]);
});

test('a statement that is given to a connection in the moment of its failure fails, and does not wait', async () => {
  await using own = await testDatabase();
  using way = await door(own.url, (_, said) => {
    if (said.includes('pg_sleep')) setTimeout(() => way.cut('reset'), 50);
  });
  await using database = openDatabase(way.url, { connections: 1 });
  const sql = database.$client;
  const next = sql`select pg_sleep(30)`.catch(() => sql`select 1 as one`.then(String, ({ code }) => code as unknown));
  expect(await next).toEqual(expect.stringMatching(/CONNECTION|ECONN|EPIPE|object/));
  expect(await sql`select 2 as two`).toEqual([{ two: 2 }]);
});

/** The statement with which the driver begins each connection. */
const firstStatement = 'pg_catalog.pg_type';

/** As a Postgres that is told to go says it to each connection. */
function farewell(): Buffer {
  const fields = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0');
  const head = Buffer.from('E----');
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

test('a connection lost while it is made, to a server that is gone: its statement fails, nothing else', async () => {
  await using own = await testDatabase();
  using way = await door(own.url, (socket, said) => {
    if (!said.includes(firstStatement)) return;
    way.shut();
    socket.resetAndDestroy();
  });
  await using database = openDatabase(way.url, { connections: 1 });
  await expect(database.$client`select 1`).rejects.toMatchObject({ code: expect.stringMatching(/^ECONN/) });
  await expect(database.$client`select 1`).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a server that says farewell to a connection that is made: the next one does not hear it again', async () => {
  await using own = await testDatabase();
  let farewells = 0;
  using way = await door(own.url, (socket, said) => {
    if (farewells > 0 || !said.includes(firstStatement)) return;
    farewells += 1;
    socket.end(farewell());
  });
  await using database = openDatabase(way.url, { connections: 1 });
  await expect(database.$client`select 1`).rejects.toMatchObject({ code: expect.stringMatching(/57P01|CONNECTION/) });
  expect(farewells).toBe(1);
  expect(await database.$client`select 2 as two`).toEqual([{ two: 2 }]);
});

test('a proxy whose server is away, which takes connections and closes them: statements fail', async () => {
  await using own = await testDatabase();
  using way = await door(own.url, undefined, (socket) => socket.end());
  await using database = openDatabase(way.url, { connections: 1 });
  await expect(database.$client`select 1`).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
});

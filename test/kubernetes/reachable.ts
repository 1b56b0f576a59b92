/** Lets Pods of the real node reach a server of this machine that listens on its loopback only. */
import { type AddressInfo, connect, createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { sharedCluster } from './shared-cluster.ts';

/** Where Pods reach it. */
export interface Reachable extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** Passes on what comes to the machine's end of the node's wire. */
export async function reachablePort(port: number, facts = sharedCluster()): Promise<Reachable> {
  const open = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    const onward = connect(port, '127.0.0.1');
    for (const one of [socket, onward]) {
      open.add(one);
      one.once('close', () => open.delete(one));
    }
    // Whichever side breaks off, both end.
    pipeline(socket, onward, socket).catch(() => undefined);
  });
  const host = facts.realNode?.hostAddress ?? '';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, host, resolve);
  await promise;
  return {
    host,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const one of open) one.destroy();
      await closed;
    },
  };
}

/** As `reachablePort`, of a URL of this machine. */
export async function reachable(
  url: string,
  facts = sharedCluster(),
): Promise<AsyncDisposable & { readonly url: string }> {
  const { port, pathname } = new URL(url);
  const door = await reachablePort(Number(port), facts);
  return {
    url: `http://${door.host}:${door.port}${pathname}`,
    [Symbol.asyncDispose]: () => door[Symbol.asyncDispose](),
  };
}

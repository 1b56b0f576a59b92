/** Lets Pods of the real node reach a server of this machine that listens on its loopback only. */
import { type AddressInfo, connect, createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { sharedCluster } from './shared-cluster.ts';

/** Where Pods reach it. */
export interface Reachable extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
}

/** Passes on what comes to the machine's end of the node's wire. */
export async function reachable(url: string, facts = sharedCluster()): Promise<Reachable> {
  const { port: own, pathname } = new URL(url);
  const open = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    const onward = connect(Number(own), '127.0.0.1');
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
  const { port } = server.address() as AddressInfo;
  return {
    ...{ host, port },
    url: `http://${host}:${port}${pathname}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const one of open) one.destroy();
      await closed;
    },
  };
}

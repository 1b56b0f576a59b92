/** A way from Pods of the real node to servers of this machine. */
import { type AddressInfo, connect, createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { sharedCluster } from './shared-cluster.ts';

/** Lets Pods of the real node reach a server of this machine that listens on its loopback only. */
export async function reachable(
  url: string,
  facts = sharedCluster(),
): Promise<AsyncDisposable & { readonly url: string }> {
  const { hostname, port, pathname } = new URL(url);
  const server = createServer((socket) => {
    const onward = connect(Number(port), hostname);
    pipeline(socket, onward, socket).catch(() => {});
  });
  const host = facts.realNode?.hostAddress ?? '';
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}${pathname}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

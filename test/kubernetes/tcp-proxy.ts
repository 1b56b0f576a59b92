/** A proxy between a client and a server, which can lose connections as firewalls do: silently. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to the server. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections that are open now stay open and carry nothing any more, not even their end; new ones work. */
  losesAll(): void;
  /** How many connections were made by now. */
  readonly made: () => number;
}

/** Stands before a server on this machine, at another port of the same address. */
export async function tcpProxy(host: string, port: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let made = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const onward = connect({ host, port, allowHalfOpen: true });
    const pair = [client, onward] as const;
    pairs.add(pair);
    made += 1;
    client.pipe(onward);
    onward.pipe(client);
    // Each end hears of the other's trouble as if it had come from there.
    client.on('error', () => onward.destroy());
    onward.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    losesAll() {
      for (const [client, onward] of pairs) {
        client.unpipe(onward);
        onward.unpipe(client);
        // What comes is read and dropped, so neither end is slowed down.
        client.resume();
        onward.resume();
      }
    },
    made: () => made,
    async [Symbol.asyncDispose]() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

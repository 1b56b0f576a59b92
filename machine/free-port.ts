import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections, which would take one between its choice and its use. */
const [firstAny, ports] = [15_000, 17_000];
const mostTries = 200;

/** The first free port at or after `wanted` on 127.0.0.1; 0 = any. `taken` are ports promised to others. */
export async function freePort(wanted: number, taken: ReadonlySet<number> = new Set()): Promise<number> {
  const first = wanted === 0 ? firstAny + Math.floor(Math.random() * (ports - mostTries)) : wanted;
  for (let port = first; port < first + mostTries; port += 1) {
    if (taken.has(port)) continue;
    const found = await tryPort(port);
    if (found !== undefined) return found;
  }
  throw new Error(`No free port from ${first} to ${first + mostTries - 1}.`);
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

import { createServer } from 'node:net';

/** The first free port at or after `wanted` on 127.0.0.1; 0 = any. `taken` are ports promised to others. */
export async function freePort(wanted: number, taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let port = wanted; port < wanted + 200; port += 1) {
    if (taken.has(port)) continue;
    const found = await tryPort(port);
    if (found !== undefined && !taken.has(found)) return found;
    if (wanted === 0) port -= 1;
  }
  throw new Error(`No free port from ${wanted} to ${wanted + 199}.`);
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

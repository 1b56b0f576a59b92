/** The api as a process of its own: for tests of what a whole process does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** An api that answers, and the lines of its log. */
export interface RunningApi extends AsyncDisposable {
  readonly url: string;
  readonly process: ChildProcess;
  readonly lines: Record<string, unknown>[];
}

/** The real process, with nothing listening where Temporal should be. */
export async function startApi(databaseUrl: string): Promise<RunningApi> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../workers/api.ts', import.meta.url))], {
    env: { ...process.env, DATABASE_URL: databaseUrl, PORT: '0', TEMPORAL_ADDRESS: '127.0.0.1:1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: Record<string, unknown>[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    lines.push(parsed);
    if (parsed.message === 'api ready') resolve(String(parsed.url));
  });
  child.once('exit', () => reject(new Error('the api ended before it was ready')));
  return {
    url: await promise,
    process: child,
    lines,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Ends containers: SIGTERM, some grace, SIGKILL, until nothing runs. */
import { existsSync } from 'node:fs';
import { recordNames, type StopOrder } from '../run-directory/records.ts';
import { recordOnce } from '../run-directory/run-directories.ts';
import type { Engine } from './engine.ts';
import { patiently } from './patience.ts';
import { readStop } from './run-directory.ts';

/** Between two looks at a container that is to end; its end is told at once. */
const lookMilliseconds = 5_000;
const never = new AbortController().signal;

/** Resolves when the container is gone or has ended; at once when there is no such run or it is over. */
export async function stopContainer(engine: Engine, key: string, directory: string, order: StopOrder): Promise<void> {
  const stoppedTime = Date.now();
  const found = await patiently(() => engine.inspect(key), never);
  if (found?.state === 'ended') return;
  if (found === undefined && !existsSync(directory)) return;
  // First the reason, then the signal: whoever sees the handler die can tell why.
  recordOnce(directory, recordNames.stop, { ...order, stoppedTime });
  const recorded = readStop(directory);
  const killTime = Math.min(
    stoppedTime + order.graceSeconds * 1_000,
    recorded === undefined ? stoppedTime : recorded.stoppedTime + recorded.graceSeconds * 1_000,
  );
  let asked: string | undefined;
  for (;;) {
    const container = await patiently(() => engine.inspect(key), never);
    if (container === undefined || container.state === 'ended') return;
    const { id } = container;
    if (container.state === 'created') {
      // Whoever was about to start it sees the reason, or finds nothing to start.
      await patiently(() => engine.remove(id), never);
      continue;
    }
    const left = killTime - Date.now();
    // One that was asked before by another worker is asked again: it may have died before it did.
    if (left <= 0) await patiently(() => engine.signal(id, 'SIGKILL'), never);
    else if (asked !== id) await patiently(() => engine.signal(id, 'SIGTERM'), never);
    asked = id;
    await waitFor(engine, id, left > 0 ? Math.min(left, lookMilliseconds) : lookMilliseconds);
  }
}

async function waitFor(engine: Engine, id: string, milliseconds: number): Promise<void> {
  await engine.wait(id, AbortSignal.timeout(Math.max(1, Math.ceil(milliseconds))));
}

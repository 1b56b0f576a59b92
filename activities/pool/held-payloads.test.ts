/** What a pool worker keeps of large payloads while their handlers run. */
import { writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import type { HandlerRun, Launcher } from '../../launchers/launcher.ts';
import { testHost, testWorker } from '../../test/support/pool-worker.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A launcher whose runs go on for ever; tells which payloads were started and which are followed. */
class EndlessLauncher implements Launcher {
  readonly place = 'endless';
  readonly survivesWorker = true;
  readonly handsOverAtStart = true;
  readonly startedBytes: number[] = [];
  readonly followed: HandlerRun[] = [];

  async start({ key, payload }: HandlerRun) {
    this.startedBytes.push(Buffer.byteLength(payload));
    return { key, adopted: false };
  }

  follow(run: HandlerRun, _events: unknown, signal: AbortSignal): Promise<never> {
    this.followed.push(run);
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }

  async stop(): Promise<void> {}
  async forget(): Promise<void> {}
  async list(): Promise<[]> {
    return [];
  }
  async find(): Promise<[]> {
    return [];
  }
}

test('no payload is kept once it is handed over; many come in answers of a bounded size', async () => {
  await using service = await ResourcePoolService.open();
  await using host = await testHost();
  writeFileSync(host.registry, JSON.stringify({ basePodConfig: {}, big: { podConfig: { imageName: 'none' } } }));
  const launcher = new EndlessLauncher();
  using worker = testWorker(host, service, {}, { kubernetes: launcher });
  const payload = 'x'.repeat(maximumPayloadBytes - 2);
  const names = Array.from({ length: 40 }, (_, n) => `o${n}`);
  const agendaId = await service.admit(names.map((name) => ({ name, type: 'big', payload })));
  service.requests.length = 0;
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (const operation of names) {
    const { ended } = worker.run({ agendaId, attempt: 1, operation, type: 'big' });
    // They are interrupted at the end of the test.
    ended.catch(() => undefined);
  }
  await vi.waitFor(() => expect(launcher.followed).toHaveLength(names.length), { timeout: 20_000 });
  expect(launcher.startedBytes).toEqual(names.map(() => maximumPayloadBytes));
  expect(launcher.followed.every((run) => run.payload === '' && run.report === undefined)).toBe(true);
  // An answer has room for 8, however many were asked for together.
  expect(service.sent('startOperation').length).toBeGreaterThanOrEqual(names.length / 8);
  await vi.waitFor(() => {
    collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(5 * maximumPayloadBytes);
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { LiveRegistry } from '../../launchers/live-registry.ts';
import type { WorkerReport } from '../../messages/resource-pool.ts';
import { SettingError } from '../../process/environment.ts';
import { openRegistry } from './open-registry.ts';
import { ServiceRefused, ServiceUnavailable } from './service-errors.ts';
import { WorkerTeller } from './tell-worker.ts';

const never = new AbortController().signal;
const log = pino({ level: 'silent' });
const registryOf = (types: object) => JSON.stringify({ basePodConfig: {}, ...types });
const sample = { podConfig: { command: ['true'], needs: { cpu: '500m' } } };

/** A teller on a registry file, whose service answers as told. */
async function teller(
  options: { readonly signOfLifeMilliseconds?: number; readonly answer?: () => Promise<void>; types?: object } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'pop-teller-'));
  const path = join(folder, 'registry.json');
  await writeFile(path, registryOf(options.types ?? { sample }));
  const reports: WorkerReport[] = [];
  const it = new WorkerTeller({
    report: async (report) => {
      reports.push(report);
      await options.answer?.();
    },
    ...{ worker: 'w', slots: 4, log, lookMilliseconds: 5 },
    signOfLifeMilliseconds: options.signOfLifeMilliseconds ?? 60_000,
    registry: new LiveRegistry(path, () => {}),
  });
  return {
    it,
    reports,
    edit: (text: string) => writeFile(path, text),
    async [Symbol.asyncDispose]() {
      await it.close();
      await rm(folder, { recursive: true });
    },
  };
}

test('what it serves is told before it starts, and that it leaves once it closes', async () => {
  await using own = await teller();
  await own.it.start(never);
  expect(own.reports).toEqual([
    {
      ...{ worker: 'w', version: expect.stringMatching(/^\d/), slots: 4, startedTime: expect.any(Number) },
      ...{ registryDigest: expect.stringMatching(/^[0-9a-f]{64}$/), types: { sample: { cpu: 0.5 } } },
    },
  ]);
  await Promise.all([own.it.close(), own.it.close()]);
  expect(own.reports.slice(1)).toEqual([{ ...own.reports[0], leaving: true }]);
});

test('that it leaves is told as soon as it is asked to end', async () => {
  await using own = await teller();
  const stop = new AbortController();
  expect(await own.it.hasTold(stop.signal)).toBe(true);
  stop.abort(new Error('SIGTERM'));
  await vi.waitFor(() => expect(own.reports.at(-1)?.leaving).toBe(true));
  await own.it.close();
  expect(own.reports).toHaveLength(2);
});

test('an edit is told at once, a broken one with file, line and field beside what stays in use', async () => {
  await using own = await teller();
  await own.it.start(never);
  await own.edit(registryOf({ sample, other: sample }));
  await vi.waitFor(() => expect(Object.keys(own.reports.at(-1)?.types ?? {})).toEqual(['sample', 'other']));
  expect(own.reports.at(-1)?.registryDigest).not.toBe(own.reports[0]?.registryDigest);
  await own.edit('{\n"basePodConfig": {},\n"sample": { "podConfig": {\n"command": 4 } } }');
  await vi.waitFor(() => expect(own.reports.at(-1)?.registryProblem).toMatch(/registry.json:4 .*command/));
  expect(own.reports.at(-1)?.types).toEqual({ sample: { cpu: 0.5 }, other: { cpu: 0.5 } });
  await own.edit(registryOf({ sample }));
  await vi.waitFor(() => expect(own.reports.at(-1)).toEqual(own.reports[0]));
});

test('it is a sign of life, and none is given more often than that', async () => {
  await using own = await teller({ signOfLifeMilliseconds: 100 });
  const begun = performance.now();
  await own.it.start(never);
  await vi.waitFor(() => expect(own.reports.length).toBeGreaterThanOrEqual(4));
  expect(performance.now() - begun).toBeGreaterThanOrEqual(300);
  for (const report of own.reports) expect(report).toEqual(own.reports[0]);
});

test('it waits for a service that does not answer, and ends while it waits when it is asked to', async () => {
  let away = true;
  await using own = await teller({ answer: async () => Promise.reject(away ? new ServiceUnavailable('away') : null) });
  const stop = new AbortController();
  const telling = own.it.hasTold(stop.signal);
  await vi.waitFor(() => expect(own.reports.length).toBeGreaterThan(1));
  stop.abort(new Error('SIGTERM'));
  expect(await telling).toBe(false);
  away = false;
});

test('a registry that the service refuses for good ends the worker, with why', async () => {
  const refuse = async () => Promise.reject(new ServiceRefused(422, 'invalid', 'types must be fewer'));
  await using own = await teller({ answer: refuse });
  await expect(own.it.start(never)).rejects.toThrow(SettingError);
  await expect(own.it.start(never)).rejects.toThrow('types must be fewer');
});

test('types that no Agenda can name are not told', async () => {
  await using own = await teller({ types: { sample, [`long${'g'.repeat(200)}`]: sample, 'with\0nul': sample } });
  await own.it.start(never);
  expect(Object.keys(own.reports[0]?.types ?? {})).toEqual(['sample']);
});

test('a registry that is broken at the start is a wrong setting, told by file, line and field', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pop-broken-'));
  const broken = join(folder, 'registry.json');
  await writeFile(broken, '{\n"basePodConfig": {},\n"sample": { "podConfig": {\n"comand": ["true"] } } }');
  expect(() => openRegistry(broken, log)).toThrow(SettingError);
  expect(() => openRegistry(broken, log)).toThrow(/registry.json:4 \/sample\/podConfig\/comand: unknown field/);
  expect(() => openRegistry(join(folder, 'none.json'), log)).toThrow(/POP_REGISTRY.*\n.*none.json cannot be read/);
  await rm(folder, { recursive: true });
});

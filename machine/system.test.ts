import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { identify } from '../launchers/local/process-identity.ts';
import { ensureDefaults, firstCommand } from './defaults.ts';
import { freePort } from './free-port.ts';
import { partNames, System } from './system.ts';

const run = promisify(execFile);
const registry = fileURLToPath(new URL('../examples/media/registry.json', import.meta.url));

test('a system starts, does what it prints, brings dead parts back, stops whole, and starts again where it was', {
  timeout: 300_000,
}, async () => {
  const home = await mkdtemp(join(tmpdir(), 'pop-system-'));
  const said: string[] = [];
  const options = { home, registry, restarts: true, say: (line: string) => void said.push(line) };
  let agenda: { id: string; progressId: string };
  {
    await using system = await System.start(options);
    await ensureDefaults(system);
    const { stdout } = await run('sh', ['-c', firstCommand(system)]);
    agenda = JSON.parse(stdout) as typeof agenda;
    await vi.waitFor(async () => expect(await stateOf(system, agenda.progressId)).toBe('succeeded'), {
      timeout: 30_000,
      interval: 100,
    });
    expect((await stat(join(system.data, 'keys.json'))).mode & 0o777).toBe(0o600);

    const control = system.pid('control');
    await system.kill('control');
    await vi.waitFor(() => expect(said).toContain('control is back'), { timeout: 60_000, interval: 50 });
    expect(system.pid('control')).not.toBe(control);

    const pids = partNames.map((part) => system.pid(part));
    await system.stopAll();
    expect(pids.filter((pid) => pid === undefined || identify(pid) !== undefined)).toEqual([]);
  }
  {
    // Settings of programs elsewhere are in nobody's way.
    const elsewhere = { TEMPORAL_TLS: 'true', TEMPORAL_API_KEY: 'key', POP_API_KEY_FILE: '/no/such/file' };
    const port = String(await freePort(0));
    const environment = { ...elsewhere, POP_METRICS_PORT: port, POP_HEALTH_PORT: port };
    await using system = await System.start({ ...options, environment });
    expect(await stateOf(system, agenda.progressId)).toBe('succeeded');
    expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toContain('pop_wakes_total');
  }
  await rm(home, { recursive: true });
});

test('a system whose part cannot start says why and leaves nothing running', { timeout: 120_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'pop-system-'));
  await expect(System.start({ home, registry: '/no/such/registry.json' })).rejects.toThrow(
    /pool ended while starting[\s\S]*\/no\/such\/registry\.json/,
  );
  // What watches a process goes a moment after it.
  await expect
    .poll(async () => (await run('ps', ['-A', '-o', 'args='])).stdout, { timeout: 20_000 })
    .not.toContain(home);
  await rm(home, { recursive: true });
});

async function stateOf(system: System, progressId: string): Promise<unknown> {
  const answer = await fetch(`${system.urls.api}/progress/agenda/${progressId}`, {
    headers: { authorization: `Bearer ${system.keys.operator}` },
  });
  return ((await answer.json()) as { processingStateMessage?: unknown }).processingStateMessage;
}

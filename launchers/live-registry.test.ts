import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LiveRegistry } from './live-registry.ts';
import type { RegistryError } from './registry.ts';

test('it follows its file, and keeps the last good one over a broken edit, which it reports once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pop-registry-'));
  const path = join(folder, 'registry.json');
  const write = (runSeconds: unknown) =>
    writeFileSync(path, JSON.stringify({ basePodConfig: { command: ['true'] }, a: { podConfig: { runSeconds } } }));
  try {
    write(1);
    const reported: RegistryError[] = [];
    const live = new LiveRegistry(path, (error) => reported.push(error));
    expect(live.settingsFor('a')?.runSeconds).toBe(1);
    write(22);
    expect(live.settingsFor('a')?.runSeconds).toBe(22);
    write('broken');
    expect(live.settingsFor('a')?.runSeconds).toBe(22);
    expect(live.settingsFor('a')?.runSeconds).toBe(22);
    expect(live.error?.message).toContain('/a/podConfig/runSeconds');
    expect(reported).toHaveLength(1);
    rmSync(path);
    expect(live.settingsFor('a')?.runSeconds).toBe(22);
    expect(live.error?.message).toContain('cannot be read');
    write(333);
    expect(live.settingsFor('a')?.runSeconds).toBe(333);
    expect(live.error).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a registry that names a launcher which is not at hand is broken for that reader', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pop-registry-'));
  const path = join(folder, 'registry.json');
  writeFileSync(path, JSON.stringify({ basePodConfig: {}, a: { podConfig: { imageName: 'a' } } }));
  try {
    expect(() => new LiveRegistry(path, () => undefined, ['local'])).toThrow(
      '"launch": "kubernetes" is not possible here',
    );
    expect(new LiveRegistry(path, () => undefined, ['kubernetes']).current.types.size).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

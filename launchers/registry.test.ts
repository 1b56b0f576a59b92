import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LiveRegistry, loadRegistry, parseRegistry, RegistryError, settingsFor, withLimits } from './registry.ts';

const parse = (document: unknown) => parseRegistry(JSON.stringify(document), '/etc/pop/registry.json');

describe('layers', () => {
  test('defaults, base and type: whole fields, later wins', () => {
    const registry = parse({
      basePodConfig: { command: ['node', 'base.ts'], envVars: { A: '1', B: '2' }, arguments: ['x', 'y'], quietSeconds: 60 },
      plain: { podConfig: {} },
      own: { podConfig: { envVars: { C: '3' }, arguments: [], quietSeconds: 5, graceSeconds: 1 } },
    });
    expect(settingsFor(registry, 'plain')).toEqual({
      launch: 'local',
      command: [process.execPath, 'base.ts'],
      arguments: ['x', 'y'],
      envVars: { A: '1', B: '2' },
      folder: '/etc/pop',
      scheduledSeconds: 300,
      quietSeconds: 60,
      graceSeconds: 10,
      resultFrom: 'file',
      contract: 'pop2',
      endOfLogIdentifier: 'HandlerComplete',
      payloadTransport: 'envVar',
      logBytes: 1_048_576,
    });
    expect(settingsFor(registry, 'own')).toMatchObject({ envVars: { C: '3' }, arguments: [], quietSeconds: 5, graceSeconds: 1 });
    expect(settingsFor(registry, 'unknown')).toBeUndefined();
  });

  test('POP’s names of limits are in milliseconds, and ours in a later layer override them', () => {
    const registry = parse({
      basePodConfig: { command: ['true'], podScheduledTimeoutMs: 600_000, podStdoutTimeout: 1_500 },
      a: { podConfig: {} },
      b: { podConfig: { quietSeconds: 9 } },
    });
    expect(settingsFor(registry, 'a')).toMatchObject({ scheduledSeconds: 600, quietSeconds: 1.5 });
    expect(settingsFor(registry, 'b')).toMatchObject({ quietSeconds: 9 });
  });

  test('a program with a slash starts from the registry’s folder, others from PATH', () => {
    const command = (program: string) =>
      settingsFor(parse({ basePodConfig: {}, a: { podConfig: { command: [program] } } }), 'a')?.command[0];
    expect(command('./bin/run')).toBe('/etc/pop/bin/run');
    expect(command('bin/run')).toBe('/etc/pop/bin/run');
    expect(command('/bin/run')).toBe('/bin/run');
    expect(command('ffmpeg')).toBe('ffmpeg');
  });

  test('a type with a function runs in process, even above a base with a command', () => {
    const registry = parse({
      basePodConfig: { command: ['true'] },
      noop: { podConfig: { function: 'noop' } },
      said: { podConfig: { launch: 'inProcess', function: 'noop' } },
    });
    expect(settingsFor(registry, 'noop')).toMatchObject({ launch: 'inProcess', function: 'noop', command: [] });
    expect(settingsFor(registry, 'said')).toMatchObject({ launch: 'inProcess', function: 'noop' });
  });

  test('an Operation’s limits are laid over its type’s', () => {
    const settings = settingsFor(
      parse({ basePodConfig: { command: ['true'], runSeconds: 5, quietSeconds: 6 }, a: { podConfig: {} } }),
      'a',
    );
    expect(settings && withLimits(settings, { runSeconds: 50 })).toMatchObject({ runSeconds: 50, quietSeconds: 6 });
    expect(settings && withLimits(settings, undefined)).toEqual(settings);
  });
});

describe('refusals', () => {
  const refused = (source: string) => {
    try {
      parseRegistry(source, '/etc/registry.json');
    } catch (error) {
      if (error instanceof RegistryError) return error.message.split('\n');
      throw error;
    }
    return [];
  };

  test('unknown fields and wrong types are all named, with path and line', () => {
    const source = `{
  "basePodConfig": {
    "imageName": "alpine"
  },
  "sample": {
    "podConfig": {
      "command": "node",
      "quietSeconds": -1,
      "memory": 5
    },
    "configMapName": "x"
  }
}`;
    const messages = refused(source);
    expect(messages).toContain('/etc/registry.json:3 /basePodConfig/imageName: unknown field; it would do nothing');
    expect(messages).toContain('/etc/registry.json:9 /sample/podConfig/memory: unknown field; it would do nothing');
    expect(messages).toContain('/etc/registry.json:11 /sample/configMapName: unknown field; it would do nothing');
    expect(messages.some((message) => message.startsWith('/etc/registry.json:7 /sample/podConfig/command: '))).toBe(true);
    expect(messages.some((message) => message.startsWith('/etc/registry.json:8 /sample/podConfig/quietSeconds: '))).toBe(true);
    expect(messages).toHaveLength(5);
  });

  test('beyond ten faults are counted, and long names are cut', () => {
    const fields = Array.from({ length: 5_000 }, (_, index) => `"${'f'.repeat(500)}${index}":1`);
    const messages = refused(`{"basePodConfig":{${fields}}}`);
    expect(messages).toHaveLength(11);
    expect(messages?.at(-1)).toBe('[Truncating additional issues] 5000 in total');
    for (const message of messages ?? []) expect(message.length).toBeLessThan(500);
  });

  test('no basePodConfig, no JSON, no file, no command, no function', () => {
    expect(refused('{}')[0]).toContain('/basePodConfig');
    expect(refused('{\n  "basePodConfig": {},\n}')[0]).toMatch(/^\/etc\/registry\.json:3: not JSON/);
    expect(() => loadRegistry('/no/such/registry.json')).toThrow('The registry /no/such/registry.json cannot be read');
    expect(refused('{"basePodConfig":{},\n"a":{"podConfig":{}}}')).toEqual([
      '/etc/registry.json:2 /a/podConfig: "launch": "local" needs "command"',
    ]);
    expect(refused('{"basePodConfig":{},"a":{"podConfig":{"launch":"inProcess"}}}')[0]).toContain('needs "function"');
    expect(refused('{"basePodConfig":{"envVars":{"A=B":"c"}}}')).toHaveLength(1);
  });
});

describe('a live registry', () => {
  test('follows its file, and keeps the last good one over a broken edit, which it reports once', () => {
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
});

import { describe, expect, test } from 'vitest';
import { loadRegistry, parseRegistry, RegistryError, settingsFor, withLimits } from './registry.ts';

const parse = (document: unknown) => parseRegistry(JSON.stringify(document), '/etc/pop/registry.json');

describe('layers', () => {
  test('defaults, base and type: whole fields, later wins', () => {
    const registry = parse({
      basePodConfig: {
        command: ['node', 'base.ts'],
        envVars: { A: '1', B: '2' },
        arguments: ['x', 'y'],
        quietSeconds: 60,
      },
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
    expect(settingsFor(registry, 'own')).toMatchObject({
      envVars: { C: '3' },
      arguments: [],
      quietSeconds: 5,
      graceSeconds: 1,
    });
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
    const command = (program: string) => {
      const settings = settingsFor(parse({ basePodConfig: {}, a: { podConfig: { command: [program] } } }), 'a');
      return settings?.launch === 'local' ? settings.command[0] : undefined;
    };
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
    expect(settingsFor(registry, 'noop')).toEqual({
      launch: 'inProcess',
      function: 'noop',
      folder: '/etc/pop',
      scheduledSeconds: 300,
      graceSeconds: 10,
    });
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
    "image": "alpine"
  },
  "sample": {
    "podConfig": {
      "command": "node",
      "quietSeconds": -1,
      "memory": 5
    },
    "configMap": "x"
  }
}`;
    const messages = refused(source);
    expect(messages).toContain('/etc/registry.json:3 /basePodConfig/image: unknown field; it would do nothing');
    expect(messages).toContain('/etc/registry.json:9 /sample/podConfig/memory: unknown field; it would do nothing');
    expect(messages).toContain('/etc/registry.json:11 /sample/configMap: unknown field; it would do nothing');
    expect(messages.some((message) => message.startsWith('/etc/registry.json:7 /sample/podConfig/command: '))).toBe(
      true,
    );
    expect(
      messages.some((message) => message.startsWith('/etc/registry.json:8 /sample/podConfig/quietSeconds: ')),
    ).toBe(true);
    expect(messages).toHaveLength(5);
  });

  test('beyond ten faults are counted, and long names are cut', () => {
    const fields = Array.from({ length: 5_000 }, (_, index) => `"${'f'.repeat(500)}${index}":1`);
    const messages = refused(`{"basePodConfig":{${fields}}}`);
    expect(messages).toHaveLength(11);
    expect(messages?.at(-1)).toBe('[Truncating additional issues] 5000 in total');
    for (const message of messages ?? []) expect(message.length).toBeLessThan(500);
  });

  test('what another launcher would read is refused in a type at its line, and allowed in the base', () => {
    const source = `{
  "basePodConfig": { "command": ["true"], "logBytes": 2048, "quietSeconds": 5 },
  "step": {
    "podConfig": {
      "function": "noOp",
      "runSeconds": 1,
      "envVars": {},
      "logBytes": 4096
    }
  },
  "process": {
    "podConfig": {
      "command": ["true"],
      "function": "noOp"
    }
  },
  "said": {
    "podConfig": {
      "launch": "inProcess",
      "function": "noOp",
      "command": ["true"]
    }
  }
}`;
    expect(refused(source)).toEqual([
      '/etc/registry.json:7 /step/podConfig/envVars: it would do nothing with "launch": "inProcess"',
      '/etc/registry.json:8 /step/podConfig/logBytes: it would do nothing with "launch": "inProcess"',
      '/etc/registry.json:14 /process/podConfig/function: it would do nothing with "launch": "local"',
      '/etc/registry.json:21 /said/podConfig/command: it would do nothing with "launch": "inProcess"',
    ]);
    expect(refused('{"basePodConfig":{"logBytes":2048},"a":{"podConfig":{"function":"noOp"}}}')).toEqual([]);
    expect(refused('{"basePodConfig":{"launch":"mainframe"}}')[0]).toContain('/basePodConfig/launch');
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

describe('what a type allows', () => {
  const variable = (name: string) => `$\{${name}}`;
  const faultsOf = (podConfig: object, environment: NodeJS.ProcessEnv = {}): string[] => {
    try {
      parseRegistry(
        JSON.stringify({ basePodConfig: {}, a: { podConfig } }, undefined, 1),
        '/etc/pop/registry.json',
        environment,
      );
    } catch (error) {
      if (error instanceof RegistryError) return error.message.split('\n');
      throw error;
    }
    return [];
  };

  test('commands and roots of the base are inherited, and replaced as a whole', () => {
    const commands = [{ program: 'echo', args: ['{word}'], placeholders: { word: '[a-z]+' } }];
    const registry = parseRegistry(
      JSON.stringify({
        basePodConfig: {
          command: ['true'],
          commands,
          readRoots: ['in', '/srv/in'],
          writeRoots: [`${variable('HOME_OF_MEDIA')}/out`, `${variable('HOME_OF_MEDIA')}`],
        },
        same: { podConfig: {} },
        none: { podConfig: { commands: [], readRoots: [], writeRoots: ['../out'] } },
        inProcess: { podConfig: { function: 'noOp' } },
      }),
      '/etc/pop/registry.json',
      { HOME_OF_MEDIA: '/srv/media' },
    );
    expect(settingsFor(registry, 'same')).toMatchObject({
      commands,
      readRoots: ['/etc/pop/in', '/srv/in'],
      writeRoots: ['/srv/media/out', '/srv/media'],
    });
    expect(settingsFor(registry, 'none')).toMatchObject({ commands: [], readRoots: [], writeRoots: ['/etc/out'] });
    expect(settingsFor(registry, 'inProcess')).not.toHaveProperty('readRoots');
  });

  test('a command is refused at its line: unknown or unused placeholder, broken pattern, relative program', () => {
    const command = { program: './x', args: ['{a}{b}', '{c}'], placeholders: { a: 'x)|(y', b: '[a', d: '.' } };
    const messages = faultsOf({ command: ['true'], commands: [command] });
    const at = (field: string) => messages.filter((message) => message.includes(` /a/podConfig/commands/0/${field}: `));
    expect(at('program')[0]).toMatch(/^\/etc\/pop\/registry\.json:\d+ .*"\.\/x" must be an absolute path/);
    expect(at('args/0')[0]).toContain('holds 2 placeholders');
    expect(at('args/1')[0]).toContain('no pattern for {c}');
    expect(at('placeholders/a')).toHaveLength(1);
    expect(at('placeholders/b')).toHaveLength(1);
    expect(at('placeholders/d')[0]).toContain('no argument holds {d}');
    expect(messages).toHaveLength(6);
    expect(faultsOf({ command: ['true'], commands: [{ program: '{p}', args: [], shell: true }] })).toHaveLength(2);
    expect(
      faultsOf({ command: ['true'], commands: [{ program: '{p}', args: ['{p}'], placeholders: { p: 'x' } }] })[0],
    ).toContain('never a placeholder');
    const large = { program: 'x', args: ['y'.repeat(70_000)] };
    expect(faultsOf({ command: ['true'], commands: [large] })[0]).toContain('65536 bytes');
    expect(faultsOf({ command: ['true'], readRoots: [`/${'é'.repeat(40_000)}`] })[0]).toContain(
      '/a/podConfig/readRoots: takes more',
    );
  });

  test('a root of a variable that is not set is refused, and one with a variable elsewhere', () => {
    const roots = [
      `${variable('NOT_SET')}/in`,
      `/srv/${variable('NOT_SET')}`,
      `${variable('SET')}x`,
      '',
      `${variable('EMPTY')}/x`,
    ];
    const messages = faultsOf({ command: ['true'], readRoots: roots }, { SET: '/srv', EMPTY: '' });
    expect(messages).toHaveLength(5);
    expect(messages[0]).toMatch(
      /:\d+ \/a\/podConfig\/readRoots\/0: the environment variable NOT_SET of the pool worker is not set$/,
    );
    expect(messages[1]).toContain('stands at the beginning only');
  });

  test('a function in the pool worker is given neither, so they are refused there', () => {
    expect(faultsOf({ function: 'noOp', readRoots: ['/srv'] })).toEqual([
      expect.stringMatching(/ \/a\/podConfig\/readRoots: it would do nothing with "launch": "inProcess"$/),
    ]);
  });
});

describe('containers', () => {
  const first = (podConfig: object, base: object = {}, more: object = {}) =>
    settingsFor(parse({ basePodConfig: base, a: { podConfig, ...more } }), 'a');

  test('a type with an image is a Pod, unless the base or the type names another launcher of containers', () => {
    expect(first({ imageName: 'a' })?.launch).toBe('kubernetes');
    expect(first({}, { imageName: 'a' })?.launch).toBe('kubernetes');
    expect(first({ imageName: 'a', command: ['x'] })?.launch).toBe('kubernetes');
    expect(first({ imageName: 'a' }, { launch: 'docker' })?.launch).toBe('docker');
    expect(first({ command: ['x'] }, { launch: 'docker', imageName: 'a' })?.launch).toBe('docker');
    expect(first({ imageName: 'a', launch: 'docker' })?.launch).toBe('docker');
    expect(first({ command: ['x'] }, { imageName: 'a' })?.launch).toBe('local');
  });

  test('a registry that was written for POP is taken, and what does nothing here is said with its line', () => {
    const registry = parse({
      basePodConfig: {
        namePrefix: 'pop',
        serviceAccountName: 'pop-service',
        cpuMinRequestCount: '1.0',
        podRetryCount: 3,
      },
      sample: {
        configMapName: 'sample-config',
        podConfig: {
          imageName: 'registry/sample:1',
          contract: 'pop1',
          memoryRequestCount: '1000Mi',
          cpuMaxRequestCount: 2,
          useTaintedNodes: true,
          taintedNodeSelector: 'dedicated=media',
          taintedNodeToleration: 'dedicated=media:NoSchedule',
          aliveCheckDetails: { alivePath: '/alive', alivePort: '8080' },
          nfsSettings: [{ nfsServer: 'nas', nfsServerPath: '/x', nfsMountPaths: ['/mnt/x'] }],
          logback: 'x',
        },
      },
    });
    expect(settingsFor(registry, 'sample')).toMatchObject({
      launch: 'kubernetes',
      image: 'registry/sample:1',
      namePrefix: 'pop',
      serviceAccountName: 'pop-service',
      reportBy: 'annotation',
      resources: { cpuRequest: '1.0', cpuLimit: '2', memory: '1000Mi' },
      nodeSelector: { dedicated: 'media' },
      tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'media', effect: 'NoSchedule' }],
      configMaps: [{ configMapName: 'sample-config', volumeMountPath: '/app/config' }],
      nfs: [{ nfsServer: 'nas', nfsReadOnly: false }],
      aliveCheck: { path: '/alive', port: 8080, periodSeconds: 2, failureThreshold: 10 },
    });
    expect(registry.warnings).toEqual([
      '/etc/pop/registry.json:1 /basePodConfig/podRetryCount: does nothing here; ' +
        'what the infrastructure takes away is launched again anyway',
      '/etc/pop/registry.json:1 /sample/podConfig/logback: does nothing here; "configMapSettings" mounts files',
    ]);
  });

  test.each([
    [{ imageName: 'a', memoryRequestCount: '1000m' }, 'is Mi meant'],
    [{ imageName: 'a', cpuMinRequestCount: 'many' }, 'is not a quantity'],
    [{ imageName: 'a', namespace: 'Not_One' }, 'is not a name of a namespace'],
    [{ imageName: 'a', taintedNodeToleration: 'a=b:Never' }, 'is not a taint'],
    [{ launch: 'docker', imageName: 'a', namespace: 'x' }, 'it would do nothing with "launch": "docker"'],
    [{ launch: 'kubernetes' }, '"launch": "kubernetes" needs "imageName"'],
    [
      { imageName: 'a', resultFrom: 'lastLogLine' },
      '/a/podConfig/resultFrom: "lastLogLine" needs "mixedStreams": true',
    ],
    [{ imageName: 'a', network: 'host' }, 'it would do nothing with "launch": "kubernetes"'],
    [{ imageName: 'a', podTemplate: { containers: [] } }, '/a/podConfig/podTemplate/containers: unknown field'],
    [{ imageName: 'a', podTemplate: { metadata: { name: 'x' } } }, '/podTemplate/metadata/name: is POP’s to say'],
    [{ imageName: 'a', podTemplate: { spec: { restartPolicy: 'Always' } } }, '/restartPolicy: must be "Never"'],
    [
      { imageName: 'a', configMapSettings: [{ volumeName: 'x', volumeMountPath: '/x' }] },
      '/a/podConfig/configMapSettings: a mount has no "configMapName"',
    ],
  ])('%j is refused', (podConfig, words) => {
    expect(() => first(podConfig)).toThrow(words);
  });

  test('a result in the log is taken where it is said that the streams are mixed there, of a container anyway', () => {
    const fromLog = { imageName: 'a', resultFrom: 'lastLogLine' };
    expect(first({ ...fromLog, mixedStreams: true })).toMatchObject({ resultFrom: 'lastLogLine', mixedStreams: true });
    expect(first({ ...fromLog, launch: 'docker' })).toMatchObject({ resultFrom: 'lastLogLine' });
    expect(() => first({ imageName: 'a' }, { resultFrom: 'lastLogLine' })).toThrow('/a/podConfig: "lastLogLine" needs');
  });

  test('a mount of a ConfigMap by the name alone is for Pods', () => {
    expect(() => first({ command: ['true'] }, {}, { configMapName: 'x' })).toThrow(
      '/a/configMapName: it would do nothing',
    );
  });

  test('the name of the type’s ConfigMap goes to the first mount, be it the base’s', () => {
    const mount = (volumeName: string, more: object = {}) => ({
      volumeName,
      volumeMountPath: `/${volumeName}`,
      ...more,
    });
    const base = { imageName: 'a', configMapSettings: [mount('first'), mount('second', { configMapName: 'shared' })] };
    const names = (settings: ReturnType<typeof first>) =>
      settings?.launch === 'kubernetes' ? settings.configMaps.map(({ configMapName }) => configMapName) : undefined;
    expect(names(first({}, base, { configMapName: 'of-a' }))).toEqual(['of-a', 'shared']);
    const own = [mount('own', { configMapName: 'other' })];
    expect(names(first({ configMapSettings: own }, base))).toEqual(['other']);
    expect(names(first({ configMapSettings: own }, base, { configMapName: 'of-a' }))).toEqual(['of-a']);
    expect(names(first({ configMapSettings: [] }, base, { configMapName: 'of-a' }))).toEqual([]);
    expect(() => first({}, base)).toThrow('a mount has no "configMapName"');
  });
});

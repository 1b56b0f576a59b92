import { expect, onTestFinished, test, vi } from 'vitest';
import { runOf } from '../../test/support/scratch.ts';
import { containerOptions } from './container-options.ts';
import { dockerRunOf } from './docker-run.ts';

const place = 'docker:here';

function optionsOf(podConfig: Record<string, unknown>, hasInit = true) {
  const run = dockerRunOf(runOf({ launch: 'docker', imageName: 'tools:1', ...podConfig }));
  return containerOptions(run, '/runs/run-1', { place, hasInit });
}

test('limits are the engine’s: memory without swap, a part of the processors, processes, graphics cards', () => {
  const { HostConfig } = optionsOf({
    memoryRequestCount: '64Mi',
    cpuMinRequestCount: '250m',
    cpuMaxRequestCount: '1.5',
    gpuCount: 2,
  });
  expect(HostConfig).toMatchObject({
    Memory: 67_108_864,
    MemorySwap: 67_108_864,
    CpuShares: 256,
    NanoCpus: 1_500_000_000,
    PidsLimit: 4_096,
    DeviceRequests: [{ Count: 2, Capabilities: [['gpu']] }],
  });
  const unlimited = optionsOf({}).HostConfig;
  for (const name of ['Memory', 'MemorySwap', 'NanoCpus', 'DeviceRequests']) expect(unlimited).not.toHaveProperty(name);
});

test('it may do no more than its image, and has an init where the engine has one', () => {
  expect(optionsOf({}).HostConfig).toMatchObject({
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    RestartPolicy: { Name: 'no' },
    NetworkMode: 'bridge',
    Init: true,
  });
  expect(optionsOf({}).HostConfig).not.toHaveProperty('Privileged');
  expect(optionsOf({}, false).HostConfig).not.toHaveProperty('Init');
});

test('the image’s own command stands until the registry names another', () => {
  const own = optionsOf({});
  expect(own).not.toHaveProperty('Entrypoint');
  expect(own).not.toHaveProperty('Cmd');
  expect(optionsOf({ arguments: ['-v'] })).toMatchObject({ Cmd: ['-v'] });
  expect(optionsOf({ arguments: ['-v'] })).not.toHaveProperty('Entrypoint');
  expect(optionsOf({ command: ['a', 'b'] })).toMatchObject({ Entrypoint: ['a', 'b'], Cmd: [] });
});

test('folders, network and user are those of the registry, beside the box of the run', () => {
  const options = optionsOf({
    network: 'host',
    user: '1000:1000',
    mounts: [
      { source: '/media', target: '/in' },
      { source: '/out', target: '/out', readOnly: false },
    ],
  });
  expect(options).toMatchObject({ User: '1000:1000', HostConfig: { NetworkMode: 'host' } });
  expect(options.HostConfig?.Mounts).toEqual([
    { Type: 'bind', Source: '/runs/run-1/box', Target: '/pop', ReadOnly: false },
    { Type: 'bind', Source: '/media', Target: '/in', ReadOnly: true },
    { Type: 'bind', Source: '/out', Target: '/out', ReadOnly: false },
  ]);
});

test('it has the LOG_LEVEL of its worker, until its type names another', () => {
  vi.stubEnv('LOG_LEVEL', 'debug');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(optionsOf({}).Env).toContain('LOG_LEVEL=debug');
  const own = optionsOf({ envVars: { LOG_LEVEL: 'warn' } }).Env;
  expect(own?.filter((line) => line.startsWith('LOG_LEVEL='))).toEqual(['LOG_LEVEL=warn']);
});

import { expect, test } from 'vitest';
import { podReaperSettings } from './pod-reaper-settings.ts';
import { dockerSocket, type LauncherSettings, possibleLaunches } from './pool-launchers.ts';

const nothing: LauncherSettings = {
  runDirectory: undefined,
  dockerSocket: undefined,
  cluster: undefined,
  podReaper: podReaperSettings(),
};

test('functions are always possible, processes and containers where there is a folder for their runs', () => {
  expect(possibleLaunches(nothing)).toEqual(['inProcess']);
  expect(possibleLaunches({ ...nothing, dockerSocket: '/run/docker.sock' })).toEqual(['inProcess']);
  expect(possibleLaunches({ ...nothing, runDirectory: '/runs' })).toEqual(['inProcess', 'local']);
  const all = { ...nothing, runDirectory: '/runs', dockerSocket: '/run/docker.sock' };
  expect(possibleLaunches(all)).toEqual(['inProcess', 'local', 'docker']);
});

test('an engine is reached by a socket of this host', () => {
  expect(dockerSocket('unix:///run/docker.sock')).toBe('/run/docker.sock');
  expect(dockerSocket('/run/docker.sock')).toBe('/run/docker.sock');
  expect(() => dockerSocket('tcp://engine:2375')).toThrow('an engine on another host cannot be used');
});

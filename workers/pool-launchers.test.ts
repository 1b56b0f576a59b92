import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { testHost } from '../test/support/pool-worker.ts';
import { kindsOf, poolLaunchers } from './pool-launchers.ts';

const log = pino({ level: 'silent' });
const launchersOf = (environment: NodeJS.ProcessEnv) => poolLaunchers({ worker: 'w', environment, log });

test('functions are always possible, processes where there is a folder for their runs', async () => {
  await using host = await testHost();
  expect(kindsOf(await launchersOf({}))).toEqual(['inProcess']);
  expect(kindsOf(await launchersOf({ POP_RUN_DIRECTORY: host.runs }))).toEqual(
    expect.arrayContaining(['local', 'inProcess']),
  );
});

test('an engine needs the folder, and a socket of this host', async () => {
  await using host = await testHost();
  await expect(launchersOf({ POP_DOCKER_SOCKET: '/run/docker.sock' })).rejects.toThrow('POP_RUN_DIRECTORY');
  await expect(
    launchersOf({ POP_RUN_DIRECTORY: join(host.directory, 'runs'), POP_DOCKER_SOCKET: 'tcp://engine:2375' }),
  ).rejects.toThrow('an engine on another host cannot be used');
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { resourcePoolProtocol } from '../../messages/resource-pool.ts';
import { testHost, testWorker } from '../../test/support/pool-worker.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';
import { joinInstallation, RefusedPoolError } from './join-installation.ts';

let service: ResourcePoolService;
beforeAll(async () => {
  service = await ResourcePoolService.open();
});
afterEach(() => service.heal());
afterAll(() => service[Symbol.asyncDispose]());

const never = new AbortController().signal;
function listening() {
  const said: string[] = [];
  return { said, log: { warn: (_: unknown, text: string) => said.push(text), info: () => undefined } as never };
}

test('a worker of the right pool is told the installation', async () => {
  const { log, said } = listening();
  expect(await joinInstallation(service, log, never)).toMatch(/^[0-9a-f-]{36}$/);
  expect(said).toEqual([]);
});

test('a key that is not good, or of another pool, ends it', async () => {
  const { log } = listening();
  await expect(joinInstallation({ ...service, url: service.url, apiKey: 'nonsense' }, log, never)).rejects.toThrow(
    RefusedPoolError,
  );
  const other = { url: service.url, apiKey: service.apiKey, resourcePoolId: 'other' };
  await expect(joinInstallation(other, log, never)).rejects.toThrow('(wrongPool)');
});

test('an api that is away, or of an older release, is waited for, and what is missing is said once', async () => {
  const older = { resourcePoolProtocol: resourcePoolProtocol - 1, installationId: 'id' };
  const answers: (object | undefined)[] = [undefined, undefined, { version: '0.1.0' }, { version: '0.1.0' }, older];
  const server = createServer((request, response) => {
    const answer = answers.length > 0 ? answers.shift() : { resourcePoolProtocol, installationId: 'id' };
    if (answer === undefined) response.destroy();
    else response.end(JSON.stringify(request.url === '/v1/version' ? answer : { resourcePoolId: 'pool' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const { log, said } = listening();
  expect(await joinInstallation({ url, apiKey: 'key', resourcePoolId: 'pool' }, log, never)).toBe('id');
  expect(said).toEqual([
    expect.stringContaining('the api does not answer yet; trying on'),
    expect.stringContaining('it speaks version 0 of'),
    expect.stringContaining(`it speaks version ${resourcePoolProtocol - 1} of`),
  ]);
  expect(said[2]).toContain('upgrade the api first');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('a worker that waits for the api ends when it is told to', async () => {
  const stop = new AbortController();
  const { log, said } = listening();
  const joining = joinInstallation(
    { url: 'http://127.0.0.1:1/v1', apiKey: 'key', resourcePoolId: 'pool' },
    log,
    stop.signal,
  );
  joining.catch(() => undefined);
  await vi.waitFor(() => expect(said).toHaveLength(1));
  stop.abort();
  await expect(joining).rejects.toThrow();
});

test('an Operation whose worker turns out to belong elsewhere is left as it is, and tried again', async () => {
  await using host = await testHost();
  using worker = testWorker(host, service);
  const agendaId = await service.admit([{ name: 'step', type: 'noOp' }]);
  service.fail(() => ({ status: 409, body: JSON.stringify({ code: 'wrongInstallation', detail: 'a and b' }) }));
  await expect(worker.run({ agendaId, attempt: 1, operation: 'step' }).ended).rejects.toMatchObject({
    type: 'wrongInstallation',
    nonRetryable: false,
  });
  expect((await service.recorded(agendaId, 'step')).state).toBe('WAITING');
  service.heal();
  await worker.run({ agendaId, attempt: 1, operation: 'step' }).ended;
});

import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Certificate, certificateAuthority } from '../test/support/certificates.ts';
import { type TlsProxyOptions, tlsProxy } from '../test/support/tls-proxy.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import { connectPatiently, lazyTemporalClient, temporalSettings } from './connect.ts';

let folder: Awaited<ReturnType<typeof mkdtempDisposable>>;
beforeAll(async () => {
  folder = await mkdtempDisposable(join(tmpdir(), 'pop-tls-'));
});
afterAll(() => folder.remove());

const log = pino({ level: 'silent' });
const away = 'temporal.example:7233';

async function fileOf(name: string, text: string): Promise<string> {
  const file = join(folder.path, name);
  await writeFile(file, text);
  return file;
}

describe('settings', () => {
  const security = (environment: Record<string, string>) => {
    const { tls, apiKey } = temporalSettings({ TEMPORAL_ADDRESS: away, ...environment });
    return { tls, apiKey };
  };

  test('without any there is neither TLS nor a key', () => {
    expect(security({})).toEqual({ tls: undefined, apiKey: undefined });
    expect(security({ TEMPORAL_TLS: '', TEMPORAL_API_KEY: '', TEMPORAL_TLS_CA: '' }).tls).toBeUndefined();
    expect(security({ TEMPORAL_TLS: 'false' }).tls).toBeUndefined();
  });

  test('each of them turns TLS on', async () => {
    expect(security({ TEMPORAL_TLS: 'true' }).tls).toEqual({});
    expect(security({ TEMPORAL_API_KEY: 'k' })).toEqual({ tls: {}, apiKey: 'k' });
    expect(security({ TEMPORAL_TLS_SERVER_NAME: 'inside' }).tls).toEqual({ serverNameOverride: 'inside' });
    const pem = '-----BEGIN CERTIFICATE-----';
    const [ca, key] = [await fileOf('ca.pem', pem), await fileOf('key.pem', '-----BEGIN PRIVATE KEY-----')];
    expect(security({ TEMPORAL_TLS_CA: ca }).tls).toEqual({ serverRootCACertificate: Buffer.from(pem) });
    expect(security({ TEMPORAL_TLS_CERT: ca, TEMPORAL_TLS_KEY: key }).tls).toMatchObject({ clientCertPair: {} });
  });

  test('a key goes to another machine over TLS only', () => {
    const plain = { TEMPORAL_TLS: 'false', TEMPORAL_API_KEY: 'k' };
    expect(() => security(plain)).toThrow(`TEMPORAL_API_KEY would go to ${away} for everybody`);
    for (const TEMPORAL_ADDRESS of ['127.0.0.1.example:1', '10.0.0.1:1', 'localhost.example:1', '[fe80::1]:1'])
      expect(() => security({ ...plain, TEMPORAL_ADDRESS })).toThrow('would go to');
    for (const TEMPORAL_ADDRESS of ['localhost:7233', '127.0.0.1:7233', '127.8.8.8:1', '[::1]:7233'])
      expect(security({ ...plain, TEMPORAL_ADDRESS })).toEqual({ tls: undefined, apiKey: 'k' });
  });

  test('what does not go together or cannot be read is told all at once', async () => {
    const notPem = await fileOf('not.pem', 'not a certificate');
    const wrong = { TEMPORAL_TLS: 'maybe', TEMPORAL_TLS_CA: join(folder.path, 'none'), TEMPORAL_TLS_CERT: notPem };
    for (const part of ['TEMPORAL_TLS must be true or false', 'TEMPORAL_TLS_CA names a file', 'not in PEM format'])
      expect(() => security({ ...wrong, POP_INSTALLATION: 'a.b' })).toThrow(part);
    expect(() => security({ ...wrong, POP_INSTALLATION: 'a.b' })).toThrow('POP_INSTALLATION');
    const pem = await fileOf('one.pem', '-----BEGIN CERTIFICATE-----');
    expect(() => security({ TEMPORAL_TLS_CERT: pem })).toThrow('TEMPORAL_TLS_KEY is missing');
    expect(() => security({ TEMPORAL_TLS_KEY: pem })).toThrow('TEMPORAL_TLS_CERT is missing');
    expect(() => security({ TEMPORAL_TLS: '0', TEMPORAL_TLS_CA: pem })).toThrow('TEMPORAL_TLS_CA is set, and');
  });
});

describe('a Temporal server behind a front door', () => {
  let environment: WorkflowEnvironment;
  beforeAll(async () => {
    environment = await realWorkflowEnvironment();
  });
  afterAll(() => environment[Symbol.asyncDispose]());

  const authority = certificateAuthority('test authority');
  const front = authority.issue('front', { addresses: ['127.0.0.1'], names: ['temporal.inside'] });
  const door = (options: Partial<TlsProxyOptions> = {}) =>
    tlsProxy({ target: environment.address, certificate: front, ...options });
  const settingsFor = async (port: number, client?: Certificate, more: Record<string, string> = {}) =>
    temporalSettings({
      TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
      TEMPORAL_TLS_CA: await fileOf('authority.pem', authority.certificate),
      ...(client === undefined ? {} : { TEMPORAL_TLS_CERT: await fileOf('client.pem', client.certificate) }),
      ...(client === undefined ? {} : { TEMPORAL_TLS_KEY: await fileOf('client.key', client.key) }),
      ...more,
    });

  /** Both ways in which our programs connect: undefined when both work, else what each said. */
  async function trouble(settings: ReturnType<typeof temporalSettings>): Promise<string[] | undefined> {
    const said: string[] = [];
    const tell = (error: Error & { details?: string }) => void said.push(`${error.message} ${error.details ?? ''}`);
    const worker = NativeConnection.connect({
      address: settings.address,
      tls: settings.tls ?? false,
      ...(settings.apiKey === undefined ? {} : { apiKey: settings.apiKey }),
    });
    await worker.then((connection) => connection.close(), tell);
    await using client = lazyTemporalClient(settings);
    await client.withDeadline(Date.now() + 2_000, () => client.workflow.count()).catch(tell);
    return said.length === 0 ? undefined : said;
  }

  test('TLS with an authority of its own', async () => {
    await using proxy = await door();
    expect(await trouble(await settingsFor(proxy.port))).toBeUndefined();
    expect(proxy.passed).toBeGreaterThan(0);
    const stranger = await fileOf('stranger.pem', certificateAuthority('stranger').certificate);
    expect(await trouble(await settingsFor(proxy.port, undefined, { TEMPORAL_TLS_CA: stranger }))).toHaveLength(2);
    const plain = temporalSettings({ TEMPORAL_ADDRESS: `127.0.0.1:${proxy.port}` });
    expect(await trouble(plain)).toHaveLength(2);
  });

  test('the name of the server is the one that is set', async () => {
    await using proxy = await door({ certificate: authority.issue('front', { names: ['temporal.inside'] }) });
    expect(await trouble(await settingsFor(proxy.port))).toHaveLength(2);
    const named = { TEMPORAL_TLS_SERVER_NAME: 'temporal.inside' };
    expect(await trouble(await settingsFor(proxy.port, undefined, named))).toBeUndefined();
    expect(proxy.serverName).toBe('temporal.inside');
  });

  test('mTLS: a client without a certificate, or with one of a stranger, is not let in', async () => {
    const clients = certificateAuthority('clients');
    await using proxy = await door({ clientAuthority: clients.certificate });
    expect(await trouble(await settingsFor(proxy.port, clients.issue('worker')))).toBeUndefined();
    expect(await trouble(await settingsFor(proxy.port))).toHaveLength(2);
    expect(await trouble(await settingsFor(proxy.port, authority.issue('worker')))).toHaveLength(2);
  });

  test('a key is sent with each request; with another one a program is refused and does not wait', async () => {
    await using proxy = await door({ apiKey: 'right' });
    const file = await fileOf('temporal.key', 'right\n');
    expect(await trouble(await settingsFor(proxy.port, undefined, { TEMPORAL_API_KEY: 'right' }))).toBeUndefined();
    expect(await trouble(await settingsFor(proxy.port, undefined, { TEMPORAL_API_KEY_FILE: file }))).toBeUndefined();
    for (const more of [{ TEMPORAL_API_KEY: 'wrong' }, {}])
      await expect(
        connectPatiently(
          (options) => NativeConnection.connect(options),
          await settingsFor(proxy.port, undefined, more),
          log,
          AbortSignal.timeout(10_000),
        ),
      ).rejects.toThrow('refuses this program (TEMPORAL_API_KEY, TEMPORAL_TLS_CERT): Request unauthorized.');
  });
});

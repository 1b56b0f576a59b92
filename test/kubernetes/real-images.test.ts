/** Images that are not there, not yet there, or not for everybody; from a registry on this machine. */
import { execFile } from 'node:child_process';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CoreV1Api } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { type ImageRegistryOptions, imageRegistry } from '../support/image-registry.ts';
import { clientConfig } from './cluster/facts.ts';
import { allowRegistry, importImage } from './cluster/real-node.ts';
import { writeBusyboxImage } from './images.ts';
import { heard, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { PodPool } from './pod-pool.ts';
import { realNodeTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const says = (word: string) => ({
  ...{ command: ['sh', '-c', `printf '"${word}"' > "$POP_RESULT_FILE"`], runAsUser: 1000, cpuMinRequestCount: '10m' },
});

interface Descriptor {
  readonly digest: string;
}

/** A registry that the real node may pull from, with the programs of busybox. */
async function registry(options: ImageRegistryOptions = {}) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-registry-'));
  const file = join(folder.path, 'image.tar');
  await writeBusyboxImage({ name: 'pop.test/any:1' }, file);
  await promisify(execFile)('tar', ['-xf', file, '-C', folder.path]);
  const json = async <T>(path: string) => JSON.parse(await readFile(join(folder.path, path), 'utf8')) as T;
  const blob = ({ digest }: Descriptor) => `blobs/${digest.replace(':', '/')}`;
  const index = await json<{ manifests: [Descriptor] }>('index.json');
  const manifest = await json<{ layers: [Descriptor] }>(blob(index.manifests[0]));
  const layer = await readFile(join(folder.path, blob(manifest.layers[0])));
  const facts = sharedCluster();
  const made = await imageRegistry(layer, { host: facts.realNode?.hostAddress ?? '', ...options });
  const [host = ''] = made.image.split('/');
  await allowRegistry(facts, host);
  return { ...made, host };
}

describe('an image that is missing', () => {
  realNodeTest('argo 4229: and back after a while: success, no attempt and no launch spent', async () => {
    await using namespace = await testNamespace('real');
    await using source = await registry();
    source.setThere(false);
    await using pool = await PodPool.open(namespace.name, { ...says('pulled'), imageName: source.image });
    const key = await pool.admit();
    const activity = (await pool.worker()).run(key);
    activity.ended.catch(() => undefined);
    const words = () => pool.recorded(key).then(({ message }) => message);
    await expect.poll(words, { timeout: 60_000 }).toContain('The container waits: ImagePullBackOff: ');
    source.setThere(true);
    await activity.ended;
    expect(await pool.recorded(key)).toMatchObject({
      ...{ state: 'COMPLETE', message: 'succeeded', result: '"pulled"', launch: 1, attempts: 1 },
    });
  });

  realNodeTest('for longer than scheduledSeconds is a failure of configuration, in the registry’s words', async () => {
    await using namespace = await testNamespace('real');
    await using source = await registry();
    source.setThere(false);
    const type = { ...says('never'), imageName: source.image, scheduledSeconds: 8 };
    await using pool = await PodPool.open(namespace.name, type);
    const key = await pool.admit();
    await (await pool.worker()).run(key).ended;
    const { events, ...recorded } = await pool.recorded(key);
    expect(recorded).toMatchObject({ message: 'failed', category: 'configuration', code: 'imageUnavailable' });
    expect(events[0]?.message).toMatch(/^The container waits: (ErrImagePull|ImagePullBackOff): .*tools:1/);
    expect(events[0]?.message).toContain('not started within scheduledSeconds = 8');
  });

  realNodeTest('from a node that may not pull it is waited for, too, until somebody brings it', async () => {
    await using namespace = await testNamespace('real');
    await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-late-'));
    using launcher = await podLauncher(namespace.name);
    const imageName = `pop.test/late:${Date.now()}`;
    const podTemplate = { spec: { containers: [{ name: 'handler', imagePullPolicy: 'Never' }] } };
    const events = heard();
    const ending = toEnd(launcher, podRun({ ...says('brought'), imageName, podTemplate }), events);
    await until('words', async () => events.progresses.find(({ message }) => message?.includes('ErrImageNeverPull')));
    const file = join(folder.path, 'late.tar');
    await writeBusyboxImage({ name: imageName }, file);
    await importImage(sharedCluster(), file);
    expect(await ending).toMatchObject({ kind: 'succeeded', result: 'brought' });
  });
});

realNodeTest('an image of a closed registry is pulled with the secrets that its type names', async () => {
  await using namespace = await testNamespace('real');
  const login = { user: 'pop', password: 'a secret' };
  await using source = await registry({ login });
  using launcher = await podLauncher(namespace.name);
  const auth = Buffer.from(`${login.user}:${login.password}`).toString('base64');
  const auths = { auths: { [source.host]: { username: login.user, password: login.password, auth } } };
  await clientConfig(sharedCluster())
    .makeApiClient(CoreV1Api)
    .createNamespacedSecret({
      namespace: namespace.name,
      body: {
        metadata: { name: 'registry-login' },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': JSON.stringify(auths) },
      },
    });
  const type = { ...says('let in'), imageName: source.image };
  const stranger = await toEnd(launcher, podRun({ ...type, scheduledSeconds: 6 }));
  expect(stranger).toMatchObject({ kind: 'failed', code: 'imageUnavailable' });
  const friend = await toEnd(launcher, podRun({ ...type, imagePullSecrets: ['registry-login'] }));
  expect(friend).toMatchObject({ kind: 'succeeded', result: 'let in' });
});

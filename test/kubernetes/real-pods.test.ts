/** What the world does to Pods that really run. Numbers are those of public reports. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { CoreV1Api, SchedulingV1Api } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { maximumPayloadBytes, maximumResolvedPayloadBytes } from '../../agenda/types.ts';
import { maximumCompressedCharacters } from '../../launchers/variable-bytes.ts';
import { clientConfig } from './cluster/facts.ts';
import { busyboxImage, nodeImage } from './images.ts';
import { heard, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { isRunning, PodPool } from './pod-pool.ts';
import { reachable } from './reachable.ts';
import { hasRealNode, realNodeTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const core = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const small = { runAsUser: 1000, cpuMinRequestCount: '10m' };
const shell = (script: string) => ({ ...small, imageName: busyboxImage, command: ['sh', '-c', script] });
const node = (script: string) => ({ ...small, imageName: nodeImage, command: ['node', '-e', script] });
const waits = 'while :; do sleep 0.1; done';
const never = () => new AbortController().signal;
const isUnified = existsSync('/sys/fs/cgroup/cgroup.controllers');

describe('taken away', () => {
  realNodeTest('evicted, as its volume grew above its limit: launched again, no attempt spent', async () => {
    await using namespace = await testNamespace('real');
    const tmp = { name: 'tmp', emptyDir: { sizeLimit: '1Mi' } };
    const greedy = {
      ...shell(`head -c 8000000 /dev/zero > /tmp/x; ${waits}`),
      podTemplate: { spec: { volumes: [tmp] } },
    };
    await using pool = await PodPool.open(namespace.name, greedy);
    const worker = await pool.worker();
    const key = await pool.admit();
    await expect(worker.run(key).ended).rejects.toMatchObject({ type: 'lost' });
    pool.setType(shell('printf 2 > "$POP_RESULT_FILE"'));
    await pool.again(worker, key);
    expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', result: '2', launch: 2, attempts: 1 });
    expect(await pool.service.launches(key.agendaId)).toMatchObject([
      { ending: 'lost', category: 'infrastructure', code: 'evicted' },
      { ending: 'succeeded' },
    ]);
  });

  realNodeTest('preempted, for one of higher priority needs its room: launched again, no attempt spent', async () => {
    await using namespace = await testNamespace('real');
    const urgent = `urgent-${namespace.name}`;
    const scheduling = clientConfig(sharedCluster()).makeApiClient(SchedulingV1Api);
    await scheduling.createPriorityClass({ body: { metadata: { name: urgent }, value: 1000 } });
    try {
      // More than half of the node, so two have no room on it.
      const big = { cpuMinRequestCount: `${Math.ceil((await processorsOfNode()) * 600)}m` };
      await using pool = await PodPool.open(namespace.name, { ...shell(`trap 'exit 0' TERM; ${waits}`), ...big });
      const worker = await pool.worker();
      const key = await pool.admit();
      const first = worker.run(key).ended;
      first.catch(() => undefined);
      await pool.pod('first Pod', isRunning);
      using launcher = await podLauncher(namespace.name, { pool: 'urgent' });
      const other = podRun({ ...shell('printf 1 > "$POP_RESULT_FILE"'), ...big, priorityClassName: urgent });
      const ofOther = toEnd(launcher, other);
      await expect(first).rejects.toMatchObject({ type: 'lost' });
      expect(await ofOther).toMatchObject({ kind: 'succeeded', result: 1 });
      await launcher.forget(other.key);
      pool.setType(shell('printf 2 > "$POP_RESULT_FILE"'));
      await pool.again(worker, key);
      expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', result: '2', launch: 2, attempts: 1 });
      expect(await pool.service.launches(key.agendaId)).toMatchObject([
        { ending: 'lost', category: 'infrastructure', code: 'preempted' },
        { ending: 'succeeded' },
      ]);
    } finally {
      await scheduling.deletePriorityClass({ name: urgent });
    }
  });

  async function processorsOfNode(): Promise<number> {
    const { items } = await core().listNode();
    const node = items.find(({ metadata }) => metadata?.name === sharedCluster().realNode?.name);
    return Number(node?.status?.allocatable?.cpu);
  }

  const traps = {
    'exits 0': 'trap "exit 0" TERM',
    'exits 1': 'trap "exit 1" TERM',
    'dies of it': ':',
    finishes: 'trap \'printf 7 > "$POP_RESULT_FILE"; exit 0\' TERM',
  };

  async function trapped(namespace: string, trap: keyof typeof traps) {
    const launcher = await podLauncher(namespace);
    const run = podRun({ ...shell(`${traps[trap]}; echo begun; ${waits}`), graceSeconds: 4 });
    const name = { namespace, name: run.key };
    await launcher.start(run);
    await until('trap', async () => {
      const log = await core()
        .readNamespacedPodLog(name)
        .catch(() => '');
      return log.includes('begun') || undefined;
    });
    const drain = () => core().createNamespacedPodEviction({ ...name, body: { metadata: { name: run.key } } });
    return { launcher, run, name, drain };
  }

  realNodeTest('drained: its handler is not waited for, and its log is kept', async () => {
    await using namespace = await testNamespace('real');
    const { launcher, run, drain } = await trapped(namespace.name, 'exits 0');
    using _ = launcher;
    const ending = launcher.follow(run, heard(), never());
    await drain();
    expect(await ending).toMatchObject({ kind: 'lost', code: 'drained', log: { output: 'begun\n' } });
  });

  realNodeTest.for([
    ['exits 0', { kind: 'lost', code: 'drained' }],
    ['exits 1', { kind: 'lost', code: 'drained' }],
    ['dies of it', { kind: 'lost', code: 'drained' }],
    ['finishes', { kind: 'succeeded', result: 7 }],
  ] as const)('drained while no worker lived: a handler that hears SIGTERM and %s', async ([trap, expected]) => {
    await using namespace = await testNamespace('real');
    const { launcher, run, name, drain } = await trapped(namespace.name, trap);
    launcher[Symbol.dispose]();
    await drain();
    await until('end', async () => {
      const { status } = await core().readNamespacedPod(name);
      return status?.containerStatuses?.[0]?.state?.terminated;
    });
    using second = await podLauncher(namespace.name);
    const { log, ...ending } = await second.follow(run, heard(), never());
    expect(ending).toMatchObject(expected);
    // The kubelet removes the container of a deleted Pod as it likes, and the log with it.
    expect(log?.output).toMatch(/^begun\n$|^\[The log could not be read: unable to retrieve container logs .*\]\n$/);
  });
});

describe('memory', () => {
  realNodeTest('a handler that takes more than it may is outOfMemory, with the limit', async () => {
    await using namespace = await testNamespace('real');
    using launcher = await podLauncher(namespace.name);
    const ending = await toEnd(launcher, podRun({ ...shell('exec tail /dev/zero'), memoryRequestCount: '24Mi' }));
    expect(ending).toMatchObject({
      ...{ kind: 'failed', code: 'outOfMemory' },
      diagnosticEvents: [{ message: expect.stringContaining('its limit (memoryRequestCount) is 24Mi') }],
    });
  });

  // On cgroup v1 the child alone is killed; on v2 the kubelet has the whole container killed.
  realNodeTest(
    'argo 8456: a child killed for memory under a parent that waits silently ends its Operation',
    async () => {
      await using namespace = await testNamespace('real');
      using launcher = await podLauncher(namespace.name);
      const script = `tail /dev/zero > /dev/null 2>&1 & ${waits}`;
      const run = podRun({ ...shell(script), memoryRequestCount: '24Mi', quietSeconds: 6, graceSeconds: 1 });
      const expected = isUnified ? { kind: 'failed', code: 'outOfMemory' } : { kind: 'timedOut', limit: 'quiet' };
      const ending = await toEnd(launcher, run);
      expect(ending).toMatchObject(expected);
      expect(JSON.stringify(ending)).toContain('more memory than it may');
    },
  );

  test.skipIf(isUnified || !hasRealNode)(
    'a parent that copes with a child killed for memory decides itself',
    async () => {
      await using namespace = await testNamespace('real');
      using launcher = await podLauncher(namespace.name);
      const script = (end: string) => shell(`tail /dev/zero > /dev/null 2>&1; ${end}`);
      const limit = { memoryRequestCount: '24Mi' };
      const [copes, fails] = await Promise.all([
        toEnd(launcher, podRun({ ...script('printf 1 > "$POP_RESULT_FILE"'), ...limit })),
        toEnd(launcher, podRun({ ...script('exit 4'), ...limit })),
      ]);
      expect(copes).toMatchObject({ kind: 'succeeded', result: 1 });
      expect(fails).toMatchObject({ kind: 'failed', code: 'outOfMemory' });
    },
  );
});

describe('limits', () => {
  realNodeTest('lines of the log are signs of life', async () => {
    await using namespace = await testNamespace('real');
    using launcher = await podLauncher(namespace.name);
    const script = 'for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 1; done; echo';
    const run = podRun({ ...shell(script), quietSeconds: 4, graceSeconds: 1 });
    expect(await toEnd(launcher, run)).toMatchObject({ kind: 'succeeded' });
  });

  realNodeTest('reports with the token of the launch are, too, of a handler that prints nothing', async () => {
    await using namespace = await testNamespace('real');
    const report = `
      const fs = require('node:fs');
      const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      const report = () => fetch(process.env.POP_URL + '/resourcepool/service/reportProgress', {
        method: 'POST',
        headers: {
          authorization: 'Bearer ' + fs.readFileSync(process.env.POP_TOKEN_FILE, 'utf8'),
          'content-type': 'application/json',
        },
        body: JSON.stringify({ items: [JSON.parse(process.env.POP_LAUNCH)] }),
      });`;
    const often = `${report} (async () => { for (let n = 0; n < 10; n += 1) { await report(); await wait(1); } })()`;
    const limits = { quietSeconds: 5, graceSeconds: 1 };
    await using pool = await PodPool.open(namespace.name, { ...node(often), ...limits }, { reach: reachable });
    const worker = await pool.worker();
    const key = await pool.admit();
    await worker.run(key).ended;
    expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', launch: 1 });
    pool.setType({ ...node(`${report} report().then(() => wait(1000))`), ...limits });
    const other = await pool.admit();
    await worker.run(other).ended;
    expect(await pool.recorded(other)).toMatchObject({ message: 'failed', code: 'quietLimit' });
  });

  realNodeTest('without a worker the Pod’s own deadline ends it, and whoever comes says which limit', async () => {
    await using namespace = await testNamespace('real');
    using first = await podLauncher(namespace.name);
    const podTemplate = { spec: { activeDeadlineSeconds: 6 } };
    const run = podRun({ ...shell(`echo begun; ${waits}`), runSeconds: 4, graceSeconds: 1, podTemplate });
    await first.start(run);
    const name = { namespace: namespace.name, name: run.key };
    await until(
      'end',
      async () => (await core().readNamespacedPod(name)).status?.reason === 'DeadlineExceeded' || undefined,
    );
    using second = await podLauncher(namespace.name);
    const ending = await second.follow(run, heard(), never());
    expect(ending).toMatchObject({ kind: 'timedOut', limit: 'run', log: { output: 'begun\n' } });
  });

  realNodeTest('a stop gives the grace: what the handler does in it is waited for and kept', async () => {
    await using namespace = await testNamespace('real');
    using launcher = await podLauncher(namespace.name);
    const events = heard();
    const run = podRun({
      ...shell(`trap 'sleep 2; echo tidied; exit 0' TERM; echo begun; ${waits}`),
      graceSeconds: 20,
    });
    const ending = toEnd(launcher, run, events);
    const name = { namespace: namespace.name, name: run.key };
    await until('start', async () => events.starts[0]);
    await until('trap', async () => (await core().readNamespacedPodLog(name)).includes('begun') || undefined);
    const begun = Date.now();
    await launcher.stop(run.key, 20);
    expect(Date.now() - begun).toBeLessThan(15_000);
    expect(await ending).toMatchObject({ kind: 'cancelled', log: { output: 'begun\ntidied\n' } });
  });
});

describe('argo 3343: what is handed over', () => {
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const text = (bytes: number, character: string) => JSON.stringify(character.repeat(bytes - 2));

  realNodeTest('up to the limit comes whole by file', async () => {
    await using namespace = await testNamespace('real');
    using launcher = await podLauncher(namespace.name);
    const script = `sum() { sha256sum "$1" | cut -d' ' -f1; }
      printf '["%s","%s"]' $(sum "$POP_PAYLOAD_FILE") $(sum "$POP_LAST_PROGRESS_FILE") > "$POP_RESULT_FILE"`;
    const sizes = [64 * 1024, 64 * 1024 + 1, maximumPayloadBytes];
    await Promise.all(
      sizes.map(async (bytes) => {
        const [payload, lastProgress] = [text(bytes, 'x'), text(bytes, 'y')];
        const ending = await toEnd(launcher, podRun(shell(script), { payload, lastProgress }));
        expect(ending).toMatchObject({ kind: 'succeeded', result: [digest(payload), digest(lastProgress)] });
      }),
    );
  });

  realNodeTest('a fan-in of 200 × 8 KiB, and the largest payload there is, come in parts', async () => {
    await using namespace = await testNamespace('real');
    using launcher = await podLauncher(namespace.name);
    // Characters of several bytes, so that cuts fall into them.
    const fanIn = JSON.stringify(Array.from({ length: 200 }, (_, n) => `${n % 10}${'€'.repeat((8 * 1024 - 3) / 3)}`));
    const largest = text(maximumResolvedPayloadBytes, 'x');
    const joins = `printf '["%s","%s","%s"]' "$POP_PAYLOAD_PARTS" \
      "$(cat "$POP_PAYLOAD_FILE"* | sha256sum | cut -d' ' -f1)" \
      "$(ls "\${POP_PAYLOAD_FILE%/*}" | grep -c payload)" > "$POP_RESULT_FILE"`;
    await Promise.all(
      [fanIn, largest].map(async (payload) => {
        const parts = String(Math.ceil(Buffer.byteLength(payload) / maximumPayloadBytes));
        const ending = await toEnd(launcher, podRun(shell(joins), { payload, lastProgress: text(1024 * 1024, 'y') }));
        expect(ending).toMatchObject({ kind: 'succeeded', result: [parts, digest(payload), parts] });
      }),
    );
    expect(Buffer.byteLength(fanIn)).toBeGreaterThan(200 * 8_000);
  });

  realNodeTest('comes whole by compressed variables, too, up to their limit', async () => {
    await using namespace = await testNamespace('real');
    using launcher = await podLauncher(namespace.name);
    // Random text of 6 bits a character is about as long compressed: just below what is refused.
    const payload = JSON.stringify(randomBytes(930_000).toString('base64'));
    expect(deflateSync(payload).toString('base64').length).toBeGreaterThan(maximumCompressedCharacters - 10_000);
    const script = `
      let text = '';
      const segment = (n) => process.env['POP_COMPRESSED_PAYLOAD_' + n];
      for (let n = 0; segment(n); n += 1) text += segment(n);
      const whole = require('node:zlib').inflateSync(Buffer.from(text, 'base64'));
      const sum = require('node:crypto').createHash('sha256').update(whole).digest('hex');
      require('node:fs').writeFileSync(process.env.POP_RESULT_FILE, JSON.stringify(sum));`;
    const ending = await toEnd(
      launcher,
      podRun({ ...node(script), payloadTransport: 'compressedEnvVar' }, { payload }),
    );
    expect(ending).toMatchObject({ kind: 'succeeded', result: digest(payload) });
  });
});

realNodeTest('a Pod that is deleted before it could start is launched again', async () => {
  await using namespace = await testNamespace('real');
  await using pool = await PodPool.open(namespace.name, { ...shell('true'), imageName: '127.0.0.1:1/none:1' });
  const worker = await pool.worker();
  const key = await pool.admit();
  const first = worker.run(key).ended;
  first.catch(() => undefined);
  const pod = await pool.pod(
    'waiting Pod',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting !== undefined,
  );
  expect(isRunning(pod)).toBe(false);
  await core().deleteNamespacedPod({ namespace: namespace.name, name: pod.metadata?.name ?? '' });
  await expect(first).rejects.toMatchObject({ type: 'lost' });
  pool.setType(shell('true'));
  await pool.again(worker, key);
  expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', launch: 2, attempts: 1 });
});

/** Handlers of the SDK in real Pods: the sample's image, reports by annotation, and tools as Pods of their own. */
import { execFile } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CoreV1Api, RbacAuthorizationV1Api, type V1EnvVar, type V1Pod } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import { buildHandlers, imageCopies, mediaImage, sampleImage } from '../../examples/images/handler-images.ts';
import { runExternal } from '../../handler/external/run-external.ts';
import { readFields } from '../../handler/fields.ts';
import type { ExternalTool } from '../../handler/index.ts';
import { readFacts } from '../../handler/inputs.ts';
import { ownLaunch } from '../support/own-launch.ts';
import { ResourcePoolService } from '../support/resource-pool-service.ts';
import { clientConfig } from './cluster/facts.ts';
import { importImage } from './cluster/real-node.ts';
import { busyboxImage, writeNodeImage } from './images.ts';
import { podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { reachable } from './reachable.ts';
import {
  hasEnded,
  realNodeTest,
  sharedCluster,
  type TestNamespace,
  testNamespace,
  until,
  untilPod,
} from './shared-cluster.ts';

const image = 'pop.test/sample:1';
const ofMedia = 'pop.test/media:1';
const restricted = {
  ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
};
const api = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
let isImported = false;

/** The image as its description says, on the real node. */
async function importSample(): Promise<void> {
  if (isImported) return;
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-sample-'));
  const built = join(folder.path, 'built');
  await buildHandlers(built);
  const { entrypoint, environment, user, workingDirectory } = sampleImage;
  const copies = imageCopies(sampleImage, built);
  const file = join(folder.path, 'sample.tar');
  await writeNodeImage({ name: image, copies, entrypoint, environment, user, workingDirectory }, file);
  await importImage(sharedCluster(), file);
  isImported = true;
}

/** A namespace that takes restricted Pods only, whose ServiceAccount `handler` may do what docs/handlers.md says. */
async function handlerNamespace(): Promise<TestNamespace> {
  await importSample();
  const namespace = await testNamespace('real');
  const enforce = '/metadata/labels/pod-security.kubernetes.io~1enforce';
  await api().patchNamespace({ name: namespace.name, body: [{ op: 'add', path: enforce, value: 'restricted' }] });
  const metadata = { name: 'handler', namespace: namespace.name };
  await api().createNamespacedServiceAccount({ namespace: namespace.name, body: { metadata } });
  const rbac = clientConfig(sharedCluster()).makeApiClient(RbacAuthorizationV1Api);
  const rules = [
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'watch', 'create', 'delete', 'patch'] },
    { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
  ];
  await rbac.createNamespacedRole({ namespace: namespace.name, body: { metadata, rules } });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'handler' };
  const subjects = [{ kind: 'ServiceAccount', name: 'handler', namespace: namespace.name }];
  await rbac.createNamespacedRoleBinding({ namespace: namespace.name, body: { metadata, roleRef, subjects } });
  return namespace;
}

/** A Pod of the sample handler that runs this command in a Pod of its own. */
function handlerPod(externalArgs: readonly string[], graceSeconds = 30): V1Pod {
  const actions = [{ action: 'externalExecute', paramsMap: { externalArgs } }];
  const [program, ...args] = externalArgs;
  const variables = {
    PAYLOAD: JSON.stringify({ actions, resultPayload: { done: true } }),
    POP_COMMANDS: JSON.stringify([{ program, args, placeholders: {} }]),
    ...{ AGENDA_ID: 'agenda-1', OPERATION_NAME: 'step', POP_REPORT_BY: 'annotation' },
    ...{ POP_RESULT_FILE: '/dev/termination-log', POP_RESULT_FILE_BYTES: '4096' },
    ...{ POP_EXTERNAL_LAUNCH: 'kubernetes', POP_HANDLER_SAMPLE_IMAGE: busyboxImage },
  };
  const ofPod = (name: string, fieldPath: string): V1EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    metadata: { name: 'op-1' },
    spec: {
      restartPolicy: 'Never',
      serviceAccountName: 'handler',
      terminationGracePeriodSeconds: graceSeconds,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'main',
          image,
          env: [
            ...Object.entries(variables).map(([name, value]) => ({ name, value })),
            ofPod('MY_POD_NAME', 'metadata.name'),
            ofPod('MY_POD_NAMESPACE', 'metadata.namespace'),
          ],
          securityContext: restricted,
        },
      ],
    },
  };
}

const start = (namespace: string, pod: V1Pod) => api().createNamespacedPod({ namespace, body: pod });
const toolsOf = async (namespace: string) =>
  (await api().listNamespacedPod({ namespace, labelSelector: 'app.kubernetes.io/name=pop-tool' })).items;
const runningTool = (namespace: string) =>
  until('running tool', async () => (await toolsOf(namespace)).find(({ status }) => status?.phase === 'Running'));
const progressOf = ({ metadata }: V1Pod) =>
  JSON.parse(metadata?.annotations?.['pop.report.progress'] ?? 'null') as Record<string, unknown> | null;

realNodeTest('the sample’s image runs a tool as a Pod, and reports by annotation and termination message', async () => {
  await using namespace = await handlerNamespace();
  await start(namespace.name, handlerPod(['sh', '-c', 'seq 1 300; echo to stderr >&2; id -u']));
  const pod = { namespace: namespace.name, name: 'op-1' };
  const ended = await untilPod(api(), pod, hasEnded);
  const log = await api().readNamespacedPodLog(pod);
  expect(ended.status?.phase, log).toBe('Succeeded');
  expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.message).toBe('{"done":true}');
  expect(ended.metadata?.annotations?.['pop.report.payload']).toBe('{"done":true}');
  expect(progressOf(ended)).toMatchObject({ processingState: 'COMPLETE', processingStateMessage: 'succeeded' });
  const lines = log.split('\n');
  const numbers = lines.filter((line) => /^\d{1,3}$/.test(line));
  expect(numbers).toEqual(Array.from({ length: 300 }, (_, n) => String(n + 1)));
  expect(lines).toEqual(expect.arrayContaining(['to stderr', '1000']));
  expect(await toolsOf(namespace.name)).toEqual([]);
});

realNodeTest('the SDK finds a payload of several files as one', async () => {
  await importSample();
  await using namespace = await testNamespace('real');
  using launcher = await podLauncher(namespace.name);
  // Characters of three bytes, so that a cut falls into one; what is asked for stands at the very end.
  const payload = JSON.stringify({ filler: `a${'€'.repeat(700_000)}`, actions: [], resultPayload: { at: 'the end' } });
  expect(Buffer.byteLength(payload)).toBeGreaterThan(2 * maximumPayloadBytes);
  const ending = await toEnd(launcher, podRun({ imageName: image, cpuMinRequestCount: '10m' }, { payload }));
  expect(ending).toMatchObject({ kind: 'succeeded', result: { at: 'the end' } });
});

realNodeTest('a tool that fails fails the Operation, with its code and last lines', async () => {
  await using namespace = await handlerNamespace();
  await start(namespace.name, handlerPod(['sh', '-c', 'echo what went wrong; exit 3']));
  const ended = await untilPod(api(), { namespace: namespace.name, name: 'op-1' }, hasEnded);
  expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(1);
  expect(progressOf(ended)).toMatchObject({
    processingStateMessage: 'failed',
    diagnosticEvents: [
      {
        message: `${busyboxImage} ended with exit code 3.`,
        code: 'externalFailed',
        payload: { launch: 'kubernetes', exitCode: 3, lastLines: ['what went wrong'] },
      },
    ],
  });
  expect(await toolsOf(namespace.name)).toEqual([]);
});

realNodeTest('a handler that is deleted takes its tool along, and reports no end', async () => {
  await using namespace = await handlerNamespace();
  await start(namespace.name, handlerPod(['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done']));
  await runningTool(namespace.name);
  const pod = { namespace: namespace.name, name: 'op-1' };
  // Keeps the Pod after its end, to be looked at.
  await api().patchNamespacedPod({
    ...pod,
    body: [{ op: 'add', path: '/metadata/finalizers', value: ['pop.test/see'] }],
  });
  await api().deleteNamespacedPod(pod);
  const ended = await untilPod(api(), pod, hasEnded);
  expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(143);
  expect(progressOf(ended)).toMatchObject({ processingState: 'EXECUTING' });
  expect(await toolsOf(namespace.name)).toEqual([]);
  await api().patchNamespacedPod({ ...pod, body: [{ op: 'remove', path: '/metadata/finalizers' }] });
});

realNodeTest('the tool of a handler that died without a word is collected', async () => {
  await using namespace = await handlerNamespace();
  await start(namespace.name, handlerPod(['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done']));
  await runningTool(namespace.name);
  await api().deleteNamespacedPod({ namespace: namespace.name, name: 'op-1', gracePeriodSeconds: 0 });
  await until('end of the tool', async () => (await toolsOf(namespace.name)).length === 0 || undefined);
});

/** From this machine, as a handler that is tried out against a cluster. */
async function tool(namespace: string, wishes: Partial<ExternalTool>) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-access-'));
  const { url, ca, adminToken } = sharedCluster();
  await writeFile(join(folder.path, 'ca'), ca);
  await writeFile(join(folder.path, 'token'), adminToken);
  const parameters = ['-oauthCertPath', join(folder.path, 'ca'), '-oauthTokenPath', join(folder.path, 'token')];
  const fields = readFields(parameters, { POP_KUBERNETES_URL: url, MY_POD_NAMESPACE: namespace });
  const lines: string[] = [];
  const said: string[] = [];
  const parts = {
    ...{ fields, operation: readFacts(fields), signal: new AbortController().signal },
    log: (line: string) => void said.push(line),
  };
  const spec = { image: busyboxImage, launch: 'kubernetes' as const, onLine: (line: string) => void lines.push(line) };
  const ended = await runExternal({ ...spec, ...wishes }, parts).catch((error: unknown) => error);
  return { ended, lines, said };
}

realNodeTest('a chatty tool with long lines: every line is whole, once, in order', async () => {
  await using namespace = await testNamespace('real');
  const long = `long $(head -c 50000 /dev/zero | tr '\\0' x)`;
  const script = `seq 1 20000; echo "${long}"; for n in 1 2 3; do echo tick $n; sleep 1; done; printf 'no end'`;
  const { ended, lines } = await tool(namespace.name, { command: ['sh', '-c', script] });
  expect(ended).toMatchObject({ exitCode: 0 });
  expect(lines.slice(0, 20_000)).toEqual(Array.from({ length: 20_000 }, (_, n) => String(n + 1)));
  expect(lines.slice(20_000).map((line) => (line.length > 100 ? line.length : line))).toEqual([
    ...[50_005, 'tick 1', 'tick 2', 'tick 3', 'no end'],
  ]);
});

realNodeTest('what cannot start, takes too much memory or too long ends in words', async () => {
  await using namespace = await testNamespace('real');
  const [missing, greedy, slow, unplaced] = await Promise.all([
    // Refused at once, where a name would wait for a name server.
    tool(namespace.name, { image: '127.0.0.1:1/none:1', scheduledSeconds: 10 }),
    tool(namespace.name, { command: ['tail', '/dev/zero'], resources: { memory: '24Mi' } }),
    tool(namespace.name, { command: ['sleep', '1000'], runSeconds: 1, graceSeconds: 1 }),
    tool(namespace.name, { command: ['true'], resources: { cpu: '900' }, scheduledSeconds: 5 }),
  ]);
  expect(missing.ended).toMatchObject({
    details: { code: 'externalNotStarted' },
    message: expect.stringMatching(/^127.0.0.1:1\/none:1 did not start within 10 s: (ErrImagePull|ImagePullBackOff): /),
  });
  expect(greedy.ended).toMatchObject({ message: `${busyboxImage} ended with exit code 137 (OOMKilled).` });
  expect(slow.ended).toMatchObject({ details: { code: 'externalTimedOut' } });
  expect(unplaced.ended).toMatchObject({
    message: expect.stringMatching(/within 5 s: Unschedulable: .*nsufficient cpu/),
  });
  expect(unplaced.said.join()).toContain('Unschedulable');
  expect(await toolsOf(namespace.name)).toEqual([]);
});

/** The media image as its description says, with a clip in it, on the real node. */
async function importMedia(): Promise<void> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-media-'));
  const built = join(folder.path, 'built');
  await buildHandlers(built);
  const { entrypoint, environment, user, workingDirectory } = mediaImage;
  const copies = imageCopies(mediaImage, built);
  const clip = join(folder.path, 'clip.mp4');
  const ffmpeg = copies.find(({ to }) => to === environment.FFMPEG_PATH)?.from ?? '';
  const pattern = 'testsrc=size=64x48:rate=5:duration=1';
  await promisify(execFile)(ffmpeg, ['-v', 'error', '-f', 'lavfi', '-i', pattern, '-c:v', 'libx264', clip]);
  const file = join(folder.path, 'media.tar');
  const all = [...copies, { from: clip, to: '/media/clip.mp4' }];
  await writeNodeImage({ name: ofMedia, copies: all, entrypoint, environment, user, workingDirectory }, file);
  await importImage(sharedCluster(), file);
}

realNodeTest('the media image reads a clip, and reports over HTTP with the token of its launch', async () => {
  await importMedia();
  await using namespace = await testNamespace('real');
  await using service = await ResourcePoolService.open();
  await using way = await reachable(service.url);
  using launch = await ownLaunch(service);
  const secret = { metadata: { name: 'op-2' }, stringData: { token: launch.token } };
  await api().createNamespacedSecret({ namespace: namespace.name, body: secret });
  const variables = {
    ...{ ...launch.environment, POP_URL: way.url, POP_TOKEN_FILE: '/var/run/pop/token' },
    ...{ PAYLOAD: '{"source":"/media/clip.mp4"}', POP_READ_ROOTS: '["/media"]' },
    ...{ POP_RESULT_FILE: '/dev/termination-log', POP_RESULT_FILE_BYTES: '4096' },
  };
  const pod: V1Pod = {
    metadata: { name: 'op-2' },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          ...{ name: 'main', image: ofMedia, args: ['/app/examples/media/media-info.js'], securityContext: restricted },
          env: Object.entries(variables).map(([name, value]) => ({ name, value })),
          volumeMounts: [{ name: 'token', mountPath: '/var/run/pop', readOnly: true }],
        },
      ],
      volumes: [{ name: 'token', secret: { secretName: 'op-2', defaultMode: 0o440 } }],
    },
  };
  await start(namespace.name, pod);
  const name = { namespace: namespace.name, name: 'op-2' };
  const ended = await untilPod(api(), name, hasEnded);
  expect(ended.status?.phase, await api().readNamespacedPodLog(name)).toBe('Succeeded');
  const { state, message, result } = await service.recorded(launch.agendaId, 'step');
  expect([state, message]).toEqual(['COMPLETE', 'succeeded']);
  expect(JSON.parse(result ?? 'null')).toMatchObject({ file: '/media/clip.mp4', width: 64, height: 48 });
  expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.message).toBe(result);
});

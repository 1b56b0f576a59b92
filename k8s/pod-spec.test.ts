import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../agenda/types.ts';
import { launchKey } from '../launchers/launch-key.ts';
import type { HandlerRun } from '../launchers/launcher.ts';
import { parseRegistry, settingsFor } from '../launchers/registry.ts';
import { runOf } from '../test/support/scratch.ts';
import { annotations, finalizer, hashOf, labels } from './names.ts';
import { kubernetesRunOf, podNameOf, podOf, secretObject, secretsOf } from './pod-spec.ts';

const ground = { pool: 'pool-hash', nodeLostSeconds: 60 };
const ofPod = (podConfig: object, run: Partial<Omit<HandlerRun, 'settings'>> = {}) =>
  kubernetesRunOf(runOf({ launch: 'kubernetes', imageName: 'registry.test/tool:1', ...podConfig }, run));

/** What tests look into; the rest is compared as a whole. */
interface Made {
  readonly metadata: {
    readonly labels: Record<string, string>;
    readonly annotations: Record<string, string>;
  } & JsonObject;
  readonly spec: {
    readonly containers: readonly [JsonObject, ...JsonObject[]];
    readonly volumes: readonly JsonObject[];
  } & JsonObject;
}

const podFor = (podConfig: object, run: Partial<Omit<HandlerRun, 'settings'>> = {}): Made =>
  podOf(ofPod(podConfig, run), 'media', ground) as unknown as Made;
const containerFor = (...given: Parameters<typeof podFor>): JsonObject => podFor(...given).spec.containers[0];
const environmentFor = (...given: Parameters<typeof podFor>): Record<string, string> =>
  Object.fromEntries((containerFor(...given).env as { name: string; value: string }[]).map((v) => [v.name, v.value]));

/** As a kubelet does: a pair of `$` is one, and `$(NAME)` a variable. */
const expanded = (text = ''): string =>
  text.replaceAll(/\$(\$|\([^)]*\))/g, (_, what: string) => (what === '$' ? '$' : '<filled in>'));

describe('a Pod of a type that says nothing but its image', () => {
  test('runs once, without rights, and keeps until its end is acknowledged', () => {
    const { metadata, spec } = podFor({});
    expect(metadata).toMatchObject({ name: 'run-1', namespace: 'media', finalizers: [finalizer] });
    expect(spec).toMatchObject({
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 10,
      securityContext: { runAsNonRoot: true, fsGroup: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
      tolerations: ['not-ready', 'unreachable'].map((state) => ({
        key: `node.kubernetes.io/${state}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 60,
      })),
    });
    for (const field of [
      ...['serviceAccountName', 'nodeSelector', 'priorityClassName', 'imagePullSecrets', 'activeDeadlineSeconds'],
    ])
      expect(spec).not.toHaveProperty(field);
    const [container] = spec.containers;
    expect(container).toMatchObject({
      name: 'handler',
      image: 'registry.test/tool:1',
      resources: { requests: { cpu: '1' } },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      volumeMounts: [
        { name: 'pop-in', mountPath: '/pop/in', readOnly: true },
        { name: 'tmp', mountPath: '/tmp' },
      ],
    });
    for (const field of ['command', 'args', 'imagePullPolicy', 'livenessProbe'])
      expect(container).not.toHaveProperty(field);
    expect(container.resources).not.toHaveProperty('limits');
    expect(spec.volumes).toEqual([
      { name: 'pop-in', projected: { defaultMode: 0o440, sources: [{ secret: { name: 'run-1' } }] } },
      { name: 'tmp', emptyDir: {} },
    ]);
  });

  test('has the variables of the contract', () => {
    expect(environmentFor({}, { traceparent: '00-1-2-01' })).toEqual({
      LOG_LEVEL: 'info',
      CID: 'cid-1',
      AGENDA_ID: 'agenda-1',
      CUSTOMER_ID: 'customer-1',
      OPERATION_ID: 'operation-id-1',
      OPERATION_NAME: 'op.1',
      PROGRESS_ID: 'progress-1',
      POP_ATTEMPT: '1',
      TRACEPARENT: '00-1-2-01',
      PAYLOAD: '{"a":1}',
      POP_PAYLOAD_TYPE: 'envVar',
      POP_PAYLOAD_FILE: '/pop/in/payload.json',
      POP_RESULT_FILE: '/dev/termination-log',
      POP_RESULT_FILE_BYTES: '4095',
      MY_POD_NAME: 'run-1',
      MY_POD_NAMESPACE: 'media',
    });
  });

  test('the same run always makes the same Pod', () => {
    expect(podFor({ labels: { a: 'b' } })).toEqual(podFor({ labels: { a: 'b' } }));
  });
});

describe('each field of the registry shows in the Pod', () => {
  test.each<[object, object]>([
    [{ pullAlways: true }, { imagePullPolicy: 'Always' }],
    [
      { command: ['run', '-x'], arguments: ['1'] },
      { command: ['run', '-x'], args: ['1'] },
    ],
    [
      { cpuMinRequestCount: '100m', cpuMaxRequestCount: 2, memoryRequestCount: '1Gi', gpuCount: 1 },
      {
        resources: {
          requests: { cpu: '100m', memory: '1Gi', 'nvidia.com/gpu': '1' },
          limits: { cpu: '2', memory: '1Gi', 'nvidia.com/gpu': '1' },
        },
      },
    ],
    [{ cpuMaxRequestCount: '500m' }, { resources: { requests: { cpu: '500m' }, limits: { cpu: '500m' } } }],
    [{ readOnlyRoot: false }, { securityContext: { readOnlyRootFilesystem: false } }],
    [
      { aliveCheckDetails: { alivePath: '/ok', alivePort: 80, aliveCheckHost: 'h', aliveCheckInterval: 5 } },
      {
        livenessProbe: { httpGet: { path: '/ok', port: 80, host: 'h' }, periodSeconds: 5, failureThreshold: 10 },
      },
    ],
  ])('of its container: %j', (podConfig, container) => {
    expect(containerFor(podConfig)).toMatchObject(container);
  });

  test.each<[object, object]>([
    [{ graceSeconds: 2.5 }, { terminationGracePeriodSeconds: 3 }],
    [{ scheduledSeconds: 10, runSeconds: 100, graceSeconds: 5 }, { activeDeadlineSeconds: 175 }],
    [{ serviceAccountName: 'media' }, { serviceAccountName: 'media', automountServiceAccountToken: true }],
    [{ reportBy: 'annotation' }, { serviceAccountName: 'pop-service', automountServiceAccountToken: true }],
    [{ imagePullSecrets: ['a', 'b'] }, { imagePullSecrets: [{ name: 'a' }, { name: 'b' }] }],
    [{ priorityClassName: 'high' }, { priorityClassName: 'high' }],
    [{ nodeSelector: { disk: 'ssd' } }, { nodeSelector: { disk: 'ssd' } }],
    [{ runAsUser: 1000 }, { securityContext: { runAsUser: 1000, runAsNonRoot: true } }],
    [{ runAsUser: 0 }, { securityContext: { runAsUser: 0, runAsNonRoot: false } }],
  ])('of all of it: %j', (podConfig, spec) => {
    expect(podFor(podConfig).spec).toMatchObject(spec);
  });

  test('tolerations come before those that give a lost node up', () => {
    const { tolerations } = podFor({ tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }] }).spec;
    expect(tolerations).toMatchObject([
      { key: 'gpu', operator: 'Exists', effect: 'NoSchedule' },
      { key: 'node.kubernetes.io/not-ready' },
      { key: 'node.kubernetes.io/unreachable' },
    ]);
  });

  test('taints as POP writes them, only where useTaintedNodes says so', () => {
    const taints = { taintedNodeSelector: 'dedicated=media', taintedNodeToleration: 'dedicated=media:NoSchedule' };
    const used = podFor({ useTaintedNodes: true, nodeSelector: { disk: 'ssd' }, ...taints }).spec;
    expect(used.nodeSelector).toEqual({ disk: 'ssd', dedicated: 'media' });
    expect(used.tolerations).toContainEqual({
      key: 'dedicated',
      operator: 'Equal',
      value: 'media',
      effect: 'NoSchedule',
    });
    const unused = podFor(taints).spec;
    expect(unused).not.toHaveProperty('nodeSelector');
    expect(unused.tolerations).toHaveLength(2);
    const { tolerations } = podFor({ useTaintedNodes: true, taintedNodeToleration: 'gpu' }).spec;
    expect(tolerations).toContainEqual({ key: 'gpu', operator: 'Exists' });
  });

  test('ConfigMaps and NFS exports are volumes, mounted where they are wanted', () => {
    const { spec } = podFor({
      configMapSettings: [
        {
          configMapName: 'settings',
          volumeName: 'config',
          volumeMountPath: '/app/config',
          mapKeyPaths: [{ key: 'a', path: 'a.properties' }],
        },
        { configMapName: 'whole', volumeName: 'all', volumeMountPath: '/all' },
      ],
      nfsSettings: [
        { nfsServer: 'nas', nfsServerPath: '/export', nfsMountPaths: ['/in', '/also'], nfsReadOnly: true },
        { nfsServer: 'nas', nfsServerPath: '/out', nfsMountPaths: ['/out'] },
      ],
    });
    expect(spec.volumes.slice(2)).toEqual([
      { name: 'config', configMap: { name: 'settings', items: [{ key: 'a', path: 'a.properties' }] } },
      { name: 'all', configMap: { name: 'whole' } },
      { name: 'nfs-0', nfs: { server: 'nas', path: '/export', readOnly: true } },
      { name: 'nfs-1', nfs: { server: 'nas', path: '/out', readOnly: false } },
    ]);
    expect((spec.containers[0].volumeMounts as JsonObject[]).slice(2)).toEqual([
      { name: 'config', mountPath: '/app/config', readOnly: true },
      { name: 'all', mountPath: '/all', readOnly: true },
      { name: 'nfs-0', mountPath: '/in', readOnly: true },
      { name: 'nfs-0', mountPath: '/also', readOnly: true },
      { name: 'nfs-1', mountPath: '/out', readOnly: false },
    ]);
  });

  test('the ConfigMap of a type is at /app/config, as in POP', () => {
    const registry = { basePodConfig: {}, a: { configMapName: 'of-a', podConfig: { imageName: 'x' } } };
    const settings = settingsFor(parseRegistry(JSON.stringify(registry), '/registry.json'), 'a');
    if (settings?.launch !== 'kubernetes') throw new Error('It is no Pod.');
    const { spec } = podOf({ ...ofPod({}), settings }, 'media', ground) as unknown as Made;
    expect(spec.volumes).toContainEqual({
      name: 'config-volume',
      configMap: {
        name: 'of-a',
        items: [
          { key: 'external-properties', path: 'external.properties' },
          { key: 'env-properties', path: 'env.properties' },
        ],
      },
    });
    expect(spec.containers[0].volumeMounts).toContainEqual({
      name: 'config-volume',
      mountPath: '/app/config',
      readOnly: true,
    });
  });

  test('variables and arguments are literal, whatever they hold', () => {
    const words = fc.array(fc.constantFrom('$', '(', ')', 'CID', '{', '"', ' '), { maxLength: 12 });
    fc.assert(
      fc.property(words, (list) => {
        const text = list.join('');
        const { env, command, args } = containerFor({ envVars: { A: text }, command: ['sh', text], arguments: [text] });
        expect(expanded((env as { name: string; value: string }[]).find(({ name }) => name === 'A')?.value)).toBe(text);
        expect((command as string[]).map(expanded)).toEqual(['sh', text]);
        expect((args as string[]).map(expanded)).toEqual([text]);
      }),
    );
    expect(environmentFor({}, { payload: '{"a":"$(PATH) $$"}' }).PAYLOAD).toBe('{"a":"$$(PATH) $$$$"}');
  });

  test('of variables, those of the contract win', () => {
    const environment = environmentFor({ envVars: { LOG_LEVEL: 'debug', CID: 'mine' } });
    expect(environment).toMatchObject({ LOG_LEVEL: 'debug', CID: 'cid-1' });
  });

  test('dockerPrivileged lifts all that restricts, and leaves who may read its files', () => {
    const { spec } = podFor({ dockerPrivileged: true });
    expect(spec.securityContext).toEqual({ fsGroup: 65_532, fsGroupChangePolicy: 'OnRootMismatch' });
    expect(spec.containers[0].securityContext).toEqual({ privileged: true });
  });

  test('what may be run, read and written is told', () => {
    expect(environmentFor({ commands: [{ program: 'x' }], readRoots: ['/in'], writeRoots: ['/out'] })).toMatchObject({
      POP_COMMANDS: '[{"program":"x","args":[],"placeholders":{}}]',
      POP_READ_ROOTS: '["/in"]',
      POP_WRITE_ROOTS: '["/out"]',
    });
  });

  test('images that were built for POP get its arguments, and report by annotation', () => {
    const given = [{ contract: 'pop1', arguments: ['-own'] }, { lastProgress: '{}' }] as const;
    expect(containerFor(...given).args).toEqual([
      '-own',
      ...['-launchType', 'kubernetes', '-externalLaunchType', 'kubernetes'],
      ...['-payloadFile', '/pop/in/payload.json', '-lastProgressFile', '/pop/in/last-progress.json'],
    ]);
    expect(environmentFor(...given).POP_REPORT_BY).toBe('annotation');
    expect(podFor(...given).spec.serviceAccountName).toBe('pop-service');
    expect(environmentFor({ reportBy: 'token' })).not.toHaveProperty('POP_REPORT_BY');
  });

  test('autoscalers leave it alone unless safeToEvict lets them', () => {
    const names = ['cluster-autoscaler.kubernetes.io/safe-to-evict', 'karpenter.sh/do-not-disrupt'];
    expect(names.map((name) => podFor({}).metadata.annotations[name])).toEqual(['false', 'true']);
    for (const name of names) expect(podFor({ safeToEvict: true }).metadata.annotations).not.toHaveProperty(name);
  });

  test('one that is kept says so', () => {
    expect(podFor({ reapCompletedPods: false }).metadata.annotations[annotations.keep]).toBe('true');
    expect(podFor({}).metadata.annotations).not.toHaveProperty(annotations.keep);
  });

  test('a prefix begins its name in place of ours', () => {
    const key = launchKey(runOf({ command: ['x'] }));
    expect(podNameOf(ofPod({}, { key }))).toBe(key);
    const prefixed = podNameOf(ofPod({ namePrefix: 'a'.repeat(20) }, { key }));
    expect(prefixed).toBe(`${'a'.repeat(20)}-${key.slice(3)}`);
    // A name is a host name as well.
    expect(prefixed.length).toBeLessThanOrEqual(63);
    expect(environmentFor({ namePrefix: 'own' }, { key }).MY_POD_NAME).toBe(
      podNameOf(ofPod({ namePrefix: 'own' }, { key })),
    );
  });
});

describe('a podTemplate', () => {
  test('is laid over the Pod, to its sidecars and volumes', () => {
    const podTemplate = {
      metadata: { labels: { team: 'video' }, annotations: { 'sidecar.test/inject': 'false' } },
      spec: {
        dnsPolicy: 'Default',
        containers: [
          { name: 'handler', volumeMounts: [{ name: 'cache', mountPath: '/cache' }] },
          { name: 'proxy', image: 'proxy:1' },
        ],
        volumes: [{ name: 'cache', emptyDir: { sizeLimit: '1Gi' } }],
      },
    };
    const { metadata, spec } = podFor({ podTemplate });
    expect(metadata.labels).toMatchObject({ team: 'video', [labels.key]: 'run-1' });
    expect(metadata.annotations).toMatchObject({ 'sidecar.test/inject': 'false', 'pop.cid': 'cid-1' });
    expect(spec).toMatchObject({ dnsPolicy: 'Default', restartPolicy: 'Never' });
    expect(spec.containers).toMatchObject([{ name: 'handler', image: 'registry.test/tool:1' }, { name: 'proxy' }]);
    expect((spec.containers[0].volumeMounts as JsonObject[]).map(({ mountPath }) => mountPath)).toEqual([
      ...['/pop/in', '/tmp', '/cache'],
    ]);
    expect(spec.volumes.map(({ name }) => name)).toEqual(['pop-in', 'tmp', 'cache']);
  });

  test('never takes away what finds the Pod again', () => {
    const podTemplate = {
      metadata: { labels: { [labels.key]: 'other', [labels.pool]: null }, annotations: null },
    };
    const { metadata } = podFor({ podTemplate });
    expect(metadata).toMatchObject({ name: 'run-1', namespace: 'media', finalizers: [finalizer] });
    expect(metadata.labels).toMatchObject({ [labels.key]: 'run-1', [labels.pool]: 'pool-hash' });
    expect(JSON.parse(metadata.annotations[annotations.fence] ?? '')).toEqual({
      agendaId: 'agenda-1',
      attempt: 1,
      operation: 'op.1',
      operationAttempt: 1,
      launch: 1,
    });
  });
});

describe('labels and annotations', () => {
  const label = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
  const text = fc.oneof(fc.webUrl(), fc.string({ unit: 'binary', minLength: 1, maxLength: 150 }));

  test('are fit whatever the ids are, and the ids are whole in annotations', () => {
    fc.assert(
      fc.property(text, text, text, text, (agendaId, customerId, insightId, operation) => {
        const { metadata } = podFor({}, { agendaId, customerId, insightId, operation, type: customerId });
        for (const value of Object.values(metadata.labels)) expect(value).toMatch(label);
        expect(metadata.annotations).toMatchObject({ 'pop.customer': customerId, 'pop.insight': insightId });
        expect(JSON.parse(metadata.annotations[annotations.fence] ?? '')).toMatchObject({ agendaId, operation });
      }),
    );
  });

  test('tell the Insight, where the service told it', () => {
    const of = (run: Partial<Omit<HandlerRun, 'settings'>>) => podFor({}, run).metadata;
    expect(of({ insightId: 'acme/nightly' })).toMatchObject({
      labels: { 'pop.insight': 'acme_nightly' },
      annotations: { 'pop.insight': 'acme/nightly' },
    });
    expect(of({}).labels).not.toHaveProperty(['pop.insight']);
    expect(of({}).annotations).not.toHaveProperty(['pop.insight']);
  });

  test('tell Customers apart whose ids look alike', () => {
    const of = (customerId: string) => podFor({}, { customerId }).metadata.labels;
    expect(of('a/b')['pop.customer']).toBe(of('a:b')['pop.customer']);
    expect(of('a/b')[labels.customerId]).not.toBe(of('a:b')[labels.customerId]);
    expect(of('a/b')[labels.customerId]).toBe(hashOf('a/b'));
  });

  test('those of the registry are there beside ours, and take none of ours', () => {
    const { metadata } = podFor({ labels: { team: 'video', [labels.key]: 'other' } });
    expect(metadata.labels).toMatchObject({ team: 'video', [labels.key]: 'run-1' });
  });
});

describe('the files of a run', () => {
  const large = (bytes: number) => JSON.stringify('x'.repeat(bytes - 2));

  test('share a Secret while they are small', () => {
    const run = ofPod({}, { lastProgress: '{"p":1}', report: { url: 'http://api.test/v1', token: 'secret' } });
    expect(secretsOf(run)).toEqual({
      'run-1': { token: 'secret', 'payload.json': '{"a":1}', 'last-progress.json': '{"p":1}' },
    });
    const environment = environmentFor({}, run);
    expect(environment).toMatchObject({
      LAST_PROGRESS: '{"p":1}',
      POP_LAST_PROGRESS_FILE: '/pop/in/last-progress.json',
      POP_TOKEN_FILE: '/pop/in/token',
      POP_URL: 'http://api.test/v1',
    });
    // It is in no variable, in no argument.
    expect(JSON.stringify(podFor({}, { report: { url: 'http://api.test/v1', token: 't0ken' } }))).not.toContain(
      't0ken',
    );
  });

  test('up to 64 KiB each; a larger one has a Secret of its own, and no variable', () => {
    const limit = 64 * 1024;
    const fits = ofPod({}, { payload: large(limit), lastProgress: large(limit) });
    expect(Object.keys(secretsOf(fits))).toEqual(['run-1']);
    expect(environmentFor({}, { payload: large(limit) }).PAYLOAD).toHaveLength(limit);
    const run = { payload: large(limit + 1), lastProgress: large(1_000_000) };
    expect(Object.entries(secretsOf(ofPod({}, run))).map(([name, texts]) => [name, Object.keys(texts)])).toEqual([
      ['run-1', []],
      ['run-1-payload', ['payload.json']],
      ['run-1-lastprogress', ['last-progress.json']],
    ]);
    const environment = environmentFor({}, run);
    for (const name of ['PAYLOAD', 'LAST_PROGRESS']) expect(environment).not.toHaveProperty(name);
    expect(environment).toMatchObject({
      POP_PAYLOAD_FILE: '/pop/in/payload.json',
      POP_LAST_PROGRESS_FILE: '/pop/in/last-progress.json',
    });
    expect(podFor({}, run).spec.volumes[0]).toMatchObject({
      projected: {
        sources: ['run-1', 'run-1-payload', 'run-1-lastprogress'].map((name) => ({ secret: { name } })),
      },
    });
  });

  test('a compressed payload comes in segments', () => {
    const payload = large(300_000);
    const environment = environmentFor({ payloadTransport: 'compressedEnvVar' }, { payload });
    expect(environment.POP_PAYLOAD_TYPE).toBe('compressedEnvVar');
    const segments = Object.keys(environment).filter((name) => name.startsWith('POP_COMPRESSED_PAYLOAD_'));
    const whole = segments.map((_, index) => environment[`POP_COMPRESSED_PAYLOAD_${index}`]).join('');
    expect(inflateSync(Buffer.from(whole, 'base64')).toString()).toBe(payload);
  });

  test('a Secret goes with its Pod, and holds what it was given', () => {
    const texts = { 'payload.json': '"ü😀"' };
    expect(secretObject('run-1', texts, ground, { name: 'run-1', uid: 'uid-1' })).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'run-1',
        labels: { [labels.pool]: 'pool-hash', 'app.kubernetes.io/managed-by': 'pop' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'run-1', uid: 'uid-1', controller: false }],
      },
      type: 'Opaque',
      data: { 'payload.json': Buffer.from('"ü😀"').toString('base64') },
    });
  });
});

test('a type of another launcher is none', () => {
  expect(() => kubernetesRunOf(runOf({ command: ['x'] }))).toThrow('launched "local", not as a Pod');
});

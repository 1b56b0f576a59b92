/** The Pod of a launch, and the Secrets with its files. The same run always makes the same objects in a worker. */
import { type Json, type JsonObject, maximumPayloadBytes } from '../agenda/types.ts';
import type { KubernetesSettings } from '../launchers/container/kubernetes-settings.ts';
import {
  type ContractFiles,
  contractArguments,
  contractEnvironment,
  usualEnvironment,
} from '../launchers/contract-environment.ts';
import { type HandlerRun, LaunchError } from '../launchers/launcher.ts';
import { fenceOf } from '../messages/resource-pool.ts';
import { strategicMerge } from './merge-pod.ts';
import { annotations, finalizer, hashOf, labels, labelValue, operationHash } from './names.ts';
import { handlerContainer, type Pod } from './pod.ts';

/** A run of a type that is launched as a Pod. */
export type KubernetesRun = HandlerRun<KubernetesSettings>;

/** What all Pods of a pool have in common. */
export interface PodGround {
  /** Value of the label that tells pools apart. */
  readonly pool: string;
  /** From the moment that its node does not answer to the moment that the Pod is given up. */
  readonly nodeLostSeconds: number;
}

/** What the handler finds in its container. */
const filesFolder = '/pop/in';
const fileNames = { payload: 'payload.json', lastProgress: 'last-progress.json', token: 'token' } as const;
/** The kubelet hands over no more of a termination message, */
export const terminationMessageBytes = 4_096;
/** and no more of those of all containers of a Pod. */
export const terminationMessagesBytes = 12_288;
const terminationMessagePath = '/dev/termination-log';
/** A Secret holds 1 MiB in all, so what is larger than this has one of its own, */
const mostSharedBytes = 64 * 1024;
/** and a payload of more bytes than this several: one as it was submitted is never cut. */
const mostPartBytes = maximumPayloadBytes;
const handlersGroup = 65_532;
/** Between the limit that we keep and the one that the cluster keeps when we cannot. */
const deadlineMarginSeconds = 60;

/** The run, when its type is launched as a Pod. @throws LaunchError `otherLauncher` */
export function kubernetesRunOf(run: HandlerRun): KubernetesRun {
  const { settings, type } = run;
  if (settings.launch === 'kubernetes') return { ...run, settings };
  throw new LaunchError('otherLauncher', `The type "${type}" is launched "${settings.launch}", not as a Pod.`);
}

/** The key is made for Pods; a prefix of the registry's own takes the place of its first word. */
export function podNameOf({ key, settings: { namePrefix } }: KubernetesRun): string {
  return namePrefix === 'op' ? key : `${namePrefix}-${key.replace(/^op-/, '')}`;
}

/**
 * Whether a Pod of the pool with the run's key is its Pod: of its Customer, and named after its key, with whichever
 * prefix the registry had when it was made.
 */
export function isPodOf(run: KubernetesRun, { metadata: { name, labels: told } }: Pod): boolean {
  const isNamed = name === podNameOf(run) || name === run.key || name.endsWith(`-${run.key.replace(/^op-/, '')}`);
  return isNamed && told?.[labels.key] === run.key && told[labels.customerId] === hashOf(run.customerId);
}

/** The files of a Secret: name to content. */
export type SecretFiles = Readonly<Record<string, string | Uint8Array>>;

/** The Secrets of a run: name to what is in it. The first has the token, and holds whatever is small. */
export function secretsOf(run: KubernetesRun): Readonly<Record<string, SecretFiles>> {
  const name = podNameOf(run);
  const small: Record<string, string> = run.report === undefined ? {} : { [fileNames.token]: run.report.token };
  const secrets: Record<string, SecretFiles> = { [name]: small };
  const { payload, lastProgress } = run;
  if (isSmall(payload)) small[fileNames.payload] = payload;
  else if (payloadPartsOf(run) === 1) secrets[`${name}-payload`] = { [fileNames.payload]: payload };
  else
    for (const [n, part] of cutOf(payload).entries())
      secrets[`${name}-payload${n === 0 ? '' : `-${n}`}`] = { [`${fileNames.payload}${n === 0 ? '' : `.${n}`}`]: part };
  if (lastProgress === undefined) return secrets;
  if (isSmall(lastProgress)) small[fileNames.lastProgress] = lastProgress;
  else secrets[`${name}-lastprogress`] = { [fileNames.lastProgress]: lastProgress };
  return secrets;
}

const isSmall = (text: string): boolean => Buffer.byteLength(text) <= mostSharedBytes;

const payloadPartsOf = ({ payload }: KubernetesRun): number =>
  Math.max(1, Math.ceil(Buffer.byteLength(payload) / mostPartBytes));

/** Bytes are cut, not characters: put together again they are the payload, and alone no part is JSON. */
function cutOf(payload: string): readonly Uint8Array[] {
  const bytes = Buffer.from(payload);
  return Array.from({ length: Math.ceil(bytes.length / mostPartBytes) }, (_, n) =>
    bytes.subarray(n * mostPartBytes, (n + 1) * mostPartBytes),
  );
}

/** A Secret that goes with its Pod. */
export function secretObject(name: string, files: SecretFiles, ground: PodGround, owner: Owner) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      labels: { [labels.pool]: ground.pool, ...managed },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: owner.name, uid: owner.uid, controller: false }],
    },
    type: 'Opaque',
    data: Object.fromEntries(Object.entries(files).map(([path, content]) => [path, base64Of(content)])),
  };
}

const base64Of = (content: string | Uint8Array): string =>
  (typeof content === 'string'
    ? Buffer.from(content)
    : Buffer.from(content.buffer, content.byteOffset, content.length)
  ).toString('base64');

/** The Pod that a Secret belongs to. */
export interface Owner {
  readonly name: string;
  readonly uid: string;
}

const managed = { 'app.kubernetes.io/managed-by': 'pop' };

/** The Pod of a run in a namespace. @throws LaunchError `payloadTooLarge`, when its handler cannot take the payload. */
export function podOf(run: KubernetesRun, namespace: string, ground: PodGround): JsonObject {
  const { settings } = run;
  const pod: JsonObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podNameOf(run),
      namespace,
      labels: labelsOf(run, ground),
      annotations: annotationsOf(run),
      finalizers: [finalizer],
    },
    spec: specOf(run, namespace, ground),
  };
  const { podTemplate } = settings;
  if (podTemplate === undefined) return pod;
  const { metadata = {}, spec = {} } = podTemplate;
  const merged = strategicMerge(pod, { metadata, spec });
  // Ours is what finds the Pod again, whatever the template says.
  const own = { name: podNameOf(run), namespace, finalizers: [finalizer] };
  const told = (merged.metadata ?? {}) as JsonObject;
  return {
    ...merged,
    metadata: {
      ...told,
      ...own,
      labels: { ...(told.labels as JsonObject), ...labelsOf(run, ground) },
      annotations: { ...(told.annotations as JsonObject), [annotations.fence]: JSON.stringify(fenceOf(run)) },
    },
  };
}

function labelsOf(run: KubernetesRun, { pool }: PodGround): Record<string, string> {
  return {
    ...run.settings.labels,
    'app.kubernetes.io/name': 'pop-handler',
    'app.kubernetes.io/component': labelValue(run.type),
    ...managed,
    'pop.agenda': labelValue(run.agendaId),
    'pop.operation': labelValue(run.operation),
    'pop.customer': labelValue(run.customerId),
    ...(run.insightId !== undefined && { 'pop.insight': labelValue(run.insightId) }),
    'pop.attempt': String(run.attempt),
    [labels.pool]: pool,
    [labels.key]: run.key,
    [labels.operationId]: operationHash(run),
    [labels.customerId]: hashOf(run.customerId),
  };
}

function annotationsOf(run: KubernetesRun): Record<string, string> {
  return {
    [annotations.fence]: JSON.stringify(fenceOf(run)),
    ...(!run.settings.reapCompletedPods && { [annotations.keep]: 'true' }),
    'pop.customer': run.customerId,
    ...(run.insightId !== undefined && { 'pop.insight': run.insightId }),
    'pop.type': run.type,
    'pop.cid': run.cid,
    // Autoscalers would end a run of hours to save a node.
    ...(!run.settings.safeToEvict && {
      'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
      'karpenter.sh/do-not-disrupt': 'true',
    }),
  };
}

function specOf(run: KubernetesRun, namespace: string, { nodeLostSeconds }: PodGround): JsonObject {
  const { settings } = run;
  const { runSeconds, graceSeconds, serviceAccountName, priorityClassName } = settings;
  const account = serviceAccountName ?? (settings.reportBy === 'annotation' ? 'pop-service' : undefined);
  return {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: Math.ceil(graceSeconds),
    ...(runSeconds !== undefined && {
      activeDeadlineSeconds: Math.ceil(settings.scheduledSeconds + runSeconds + graceSeconds) + deadlineMarginSeconds,
    }),
    enableServiceLinks: false,
    automountServiceAccountToken: account !== undefined,
    ...(account !== undefined && { serviceAccountName: account }),
    ...(priorityClassName !== undefined && { priorityClassName }),
    ...(settings.imagePullSecrets.length > 0 && {
      imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
    }),
    ...(Object.keys(settings.nodeSelector).length > 0 && { nodeSelector: { ...settings.nodeSelector } }),
    tolerations: [
      ...settings.tolerations.map((toleration) => ({ ...toleration }) as JsonObject),
      ...['not-ready', 'unreachable'].map((state) => ({
        key: `node.kubernetes.io/${state}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: nodeLostSeconds,
      })),
    ],
    securityContext: podSecurity(settings),
    containers: [containerOf(run, namespace)],
    volumes: [...volumesOf(run)],
  };
}

function podSecurity({ runAsUser, privileged }: KubernetesSettings): JsonObject {
  return {
    ...(runAsUser !== undefined && { runAsUser }),
    fsGroup: handlersGroup,
    fsGroupChangePolicy: 'OnRootMismatch',
    ...(!privileged && { runAsNonRoot: runAsUser !== 0, seccompProfile: { type: 'RuntimeDefault' } }),
  };
}

function containerOf(run: KubernetesRun, namespace: string): JsonObject {
  const { settings } = run;
  const { aliveCheck } = settings;
  const files = filesOf(run);
  const variables = {
    ...usualEnvironment(),
    ...settings.envVars,
    ...contractEnvironment(run, settings, files),
    MY_POD_NAME: podNameOf(run),
    MY_POD_NAMESPACE: namespace,
    // One less: a message that has all of them may be the end of a longer one.
    POP_RESULT_FILE_BYTES: String(terminationMessageBytes - 1),
    ...(settings.reportBy === 'annotation' && { POP_REPORT_BY: 'annotation' }),
  };
  if (settings.contract === 'pop1') refuseParts(run);
  const own = settings.contract === 'pop1' ? contractArguments('kubernetes', files) : [];
  const args = [...settings.arguments, ...own];
  return {
    name: handlerContainer,
    image: settings.image,
    ...(settings.pullAlways && { imagePullPolicy: 'Always' }),
    ...(settings.command !== undefined && { command: settings.command.map(escaped) }),
    ...(args.length > 0 && { args: args.map(escaped) }),
    env: Object.entries(variables).map(([name, value]) => ({ name, value: escaped(value) })),
    resources: resourcesOf(settings),
    terminationMessagePath,
    securityContext: settings.privileged
      ? { privileged: true }
      : {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: settings.readOnlyRoot,
          capabilities: { drop: ['ALL'] },
        },
    ...(aliveCheck !== undefined && {
      livenessProbe: {
        httpGet: {
          path: aliveCheck.path,
          port: aliveCheck.port,
          ...(aliveCheck.host !== undefined && { host: aliveCheck.host }),
        },
        periodSeconds: aliveCheck.periodSeconds,
        failureThreshold: aliveCheck.failureThreshold,
      },
    }),
    volumeMounts: [...mountsOf(settings)],
  };
}

/** Handlers built for POP read the one file that `-payloadFile` names, and would find a text that is no JSON. */
function refuseParts(run: KubernetesRun): void {
  const parts = payloadPartsOf(run);
  if (parts === 1) return;
  throw new LaunchError(
    'payloadTooLarge',
    `The payload of Operation ${run.operation} has ${Buffer.byteLength(run.payload)} bytes with its references ` +
      `replaced. In a Pod that is ${parts} files, and a handler built for POP ("contract": "pop1") reads one, of at ` +
      `most ${mostPartBytes} bytes. Refer to less, or make its handler one of "contract": "pop2", which joins them.`,
  );
}

/** Kubernetes would fill in `$(NAME)` of other variables, and makes one `$` of two. */
const escaped = (text: string): string => text.replaceAll('$', () => '$$');

function filesOf(run: KubernetesRun): ContractFiles {
  const at = (name: string) => `${filesFolder}/${name}`;
  return {
    payload: at(fileNames.payload),
    payloadParts: payloadPartsOf(run),
    ...(run.lastProgress !== undefined && { lastProgress: at(fileNames.lastProgress) }),
    ...(run.report !== undefined && { token: at(fileNames.token) }),
    result: terminationMessagePath,
  };
}

function resourcesOf({ resources: { cpuRequest, cpuLimit, memory, gpu } }: KubernetesSettings): JsonObject {
  const always = {
    ...(memory !== undefined && { memory }),
    ...(gpu !== undefined && { 'nvidia.com/gpu': String(gpu) }),
  };
  const limits = { ...(cpuLimit !== undefined && { cpu: cpuLimit }), ...always };
  return { requests: { cpu: cpuRequest, ...always }, ...(Object.keys(limits).length > 0 && { limits }) };
}

function* volumesOf(run: KubernetesRun): Iterable<JsonObject> {
  const { configMaps, nfs } = run.settings;
  const sources: Json = Object.keys(secretsOf(run)).map((name) => ({ secret: { name } }));
  yield { name: 'pop-in', projected: { defaultMode: 0o440, sources } };
  yield { name: 'tmp', emptyDir: {} };
  for (const { volumeName, configMapName, mapKeyPaths } of configMaps) {
    const items = mapKeyPaths.map(({ key, path }) => ({ key, path }));
    yield { name: volumeName, configMap: { name: configMapName, ...(items.length > 0 && { items }) } };
  }
  for (const [index, { nfsServer: server, nfsServerPath: path, nfsReadOnly: readOnly }] of nfs.entries())
    yield { name: `nfs-${index}`, nfs: { server, path, readOnly } };
}

function* mountsOf({ configMaps, nfs }: KubernetesSettings): Iterable<JsonObject> {
  yield { name: 'pop-in', mountPath: filesFolder, readOnly: true };
  yield { name: 'tmp', mountPath: '/tmp' };
  for (const { volumeName: name, volumeMountPath: mountPath } of configMaps) yield { name, mountPath, readOnly: true };
  for (const [index, { nfsMountPaths, nfsReadOnly: readOnly }] of nfs.entries())
    for (const mountPath of nfsMountPaths) yield { name: `nfs-${index}`, mountPath, readOnly };
}

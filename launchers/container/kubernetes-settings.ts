/** What the registry says of a type that is launched as a Pod. */
import { z } from 'zod';
import type { JsonObject } from '../../agenda/types.ts';
import type { Limits } from '../limits.ts';
import { type ContainerSettings, containerFields, containerSettings } from './container-settings.ts';

/** The registry entry of a `launch: "kubernetes"` type, all layers resolved. */
export interface KubernetesSettings extends ContainerSettings {
  readonly launch: 'kubernetes';
  /** Begins the Pod's name. */
  readonly namePrefix: string;
  /** `{customer}` stands for a slug of the Customer. Absent: the pool worker's. */
  readonly namespace?: string;
  /** Absent: the namespace's default one, whose token is not mounted. */
  readonly serviceAccountName?: string;
  /** How the handler reports: with the token of its launch, or by annotations of its own Pod. */
  readonly reportBy: 'token' | 'annotation';
  readonly imagePullSecrets: readonly string[];
  readonly priorityClassName?: string;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  readonly configMaps: readonly ConfigMapMount[];
  readonly nfs: readonly NfsMount[];
  readonly privileged: boolean;
  readonly readOnlyRoot: boolean;
  /** In place of the image's user; 0 is root, which nobody is unless it is said here. */
  readonly runAsUser?: number;
  /** Asks the HTTP server of the handler now and then; it is ended when that fails. */
  readonly aliveCheck?: AliveCheck;
  /** Autoscalers may end its node whenever they like. */
  readonly safeToEvict: boolean;
  /** The log may be read for a result though Kubernetes mixes standard output and standard error in it. */
  readonly mixedStreams: boolean;
  /** A fragment of a PodTemplateSpec, laid over the Pod that the other fields make (strategic merge). */
  readonly podTemplate?: JsonObject;
}

/** Lets a Pod onto nodes with a taint. */
export interface Toleration {
  readonly key?: string | undefined;
  readonly operator?: 'Exists' | 'Equal' | undefined;
  readonly value?: string | undefined;
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute' | undefined;
  readonly tolerationSeconds?: number | undefined;
}

/** Keys of a ConfigMap as files below a folder; all keys when none is named. */
export interface ConfigMapMount {
  readonly configMapName: string;
  readonly volumeName: string;
  readonly volumeMountPath: string;
  readonly mapKeyPaths: readonly { readonly key: string; readonly path: string }[];
}

/** An export of an NFS server below each of the folders. */
export interface NfsMount {
  readonly nfsServer: string;
  readonly nfsServerPath: string;
  readonly nfsMountPaths: readonly string[];
  readonly nfsReadOnly: boolean;
}

/** A question to the handler's own HTTP server. */
export interface AliveCheck {
  readonly host?: string;
  readonly path: string;
  readonly port: number;
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

const word = z.string().min(1).max(253);
const label = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'is not a DNS label: lower case letters, digits and -');
const absolute = z.string().startsWith('/', 'must be an absolute path');
const tolerationSchema = z.strictObject({
  key: z.string().optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: z.string().optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  tolerationSeconds: z.number().int().min(0).optional(),
});

/** `key=value`, or `key=value:effect`, as POP's registry and kubectl write taints. */
const taint = z
  .string()
  .regex(/^[^=:\s]+(=[^=:\s]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?$/, 'is not a taint: key=value:effect');

const fragment = z.record(z.string(), z.json());
/** What finds a Pod again, and that it runs once, is not for a template to say. */
const templateSchema = z
  .strictObject({ metadata: fragment.optional(), spec: fragment.optional() })
  .superRefine(({ metadata = {}, spec = {} }, context) => {
    const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    for (const field of ['name', 'generateName', 'namespace', 'finalizers'])
      if (metadata[field] !== undefined) refuse(['metadata', field], 'is POP’s to say; it would do nothing');
    if (spec.restartPolicy !== undefined && spec.restartPolicy !== 'Never')
      refuse(['spec', 'restartPolicy'], 'must be "Never": a handler runs once for each launch');
  })
  .transform(({ metadata = {}, spec = {} }) => ({ metadata, spec }));

/** The fields of a `podConfig` that mean something to this launcher. */
export const kubernetesFields = (folder: string, environment: NodeJS.ProcessEnv) => ({
  ...containerFields(folder, environment),
  namePrefix: label.max(20).optional(),
  namespace: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$|^([a-z0-9][-a-z0-9]*)?\{customer\}$/, 'is not a name of a namespace')
    .max(63)
    .optional(),
  serviceAccountName: word.optional(),
  reportBy: z.enum(['token', 'annotation']).optional(),
  imagePullSecrets: z.array(word).optional(),
  priorityClassName: word.optional(),
  nodeSelector: z.record(z.string(), z.string()).optional(),
  tolerations: z.array(tolerationSchema).optional(),
  useTaintedNodes: z.boolean().optional(),
  taintedNodeSelector: taint.optional(),
  taintedNodeToleration: taint.optional(),
  configMapSettings: z
    .array(
      z.strictObject({
        configMapName: word.optional(),
        volumeName: label,
        volumeMountPath: absolute,
        mapKeyPaths: z.array(z.strictObject({ key: word, path: z.string().min(1) })).default([]),
      }),
    )
    .optional(),
  nfsSettings: z
    .array(
      z.strictObject({
        nfsServer: word,
        nfsServerPath: absolute,
        nfsMountPaths: z.array(absolute).min(1),
        nfsReadOnly: z.boolean().default(false),
      }),
    )
    .optional(),
  dockerPrivileged: z.boolean().optional(),
  readOnlyRoot: z.boolean().optional(),
  runAsUser: z.number().int().min(0).max(4_294_967_295).optional(),
  aliveCheckDetails: z
    .strictObject({
      aliveCheckHost: word.optional(),
      alivePath: z.string().startsWith('/').default('/'),
      alivePort: z.coerce.number().int().min(1).max(65_535),
      aliveCheckLinking: z.boolean().optional(),
      aliveCheckInterval: z.number().int().min(1).default(2),
      aliveCheckFailureThreshold: z.number().int().min(1).default(10),
    })
    .optional(),
  safeToEvict: z.boolean().optional(),
  mixedStreams: z.boolean().optional(),
  podTemplate: templateSchema.optional(),
});

/** These fields as parsed. */
export type KubernetesFields = z.output<z.ZodObject<ReturnType<typeof kubernetesFields>>>;

/** Whether each mount of a ConfigMap has a name; that of the type goes to the first. */
export function areConfigMapsNamed({ configMapSettings = [] }: KubernetesFields, ofType: string | undefined): boolean {
  return namedConfigMaps(configMapSettings, ofType).every(({ configMapName }) => configMapName !== '');
}

/**
 * The entry of merged layers; undefined without an `imageName`. `configMapName` is that of the type: as in POP it is
 * the name of the first mount, and of one at `/app/config` where no mount is stated.
 */
export function kubernetesSettings(
  fields: KubernetesFields,
  limits: Limits,
  configMapName?: string,
): KubernetesSettings | undefined {
  const container = containerSettings(fields, limits);
  if (container === undefined) return undefined;
  const { namespace, serviceAccountName, priorityClassName, runAsUser, podTemplate } = fields;
  const { aliveCheckDetails: alive } = fields;
  return {
    launch: 'kubernetes',
    ...container,
    namePrefix: fields.namePrefix ?? 'op',
    ...(namespace !== undefined && { namespace }),
    ...(serviceAccountName !== undefined && { serviceAccountName }),
    // Images that were built for POP know no other way.
    reportBy: fields.reportBy ?? (container.contract === 'pop1' ? 'annotation' : 'token'),
    imagePullSecrets: fields.imagePullSecrets ?? [],
    ...(priorityClassName !== undefined && { priorityClassName }),
    nodeSelector: { ...fields.nodeSelector, ...selectorOf(fields) },
    tolerations: [...(fields.tolerations ?? []), ...tolerationOf(fields)],
    configMaps: configMapsOf(fields, configMapName),
    nfs: fields.nfsSettings ?? [],
    privileged: fields.dockerPrivileged ?? false,
    readOnlyRoot: fields.readOnlyRoot ?? true,
    ...(runAsUser !== undefined && { runAsUser }),
    ...(alive !== undefined && { aliveCheck: aliveCheckOf(alive) }),
    safeToEvict: fields.safeToEvict ?? false,
    mixedStreams: fields.mixedStreams ?? false,
    ...(podTemplate !== undefined && { podTemplate }),
  };
}

/** Why a result may not be read from the log of such a type; undefined when it may, or is read from elsewhere. */
export function mixedStreamsFault({
  resultFrom,
  mixedStreams,
}: Pick<KubernetesSettings, 'resultFrom' | 'mixedStreams'>): string | undefined {
  if (resultFrom !== 'lastLogLine' || mixedStreams) return undefined;
  return (
    '"lastLogLine" needs "mixedStreams": true with "launch": "kubernetes", whose log mixes standard output and ' +
    'standard error: the last line may be of either. Without it, write the result to POP_RESULT_FILE'
  );
}

function configMapsOf({ configMapSettings }: KubernetesFields, ofType: string | undefined): readonly ConfigMapMount[] {
  if (configMapSettings !== undefined) return namedConfigMaps(configMapSettings, ofType);
  return ofType === undefined ? [] : [ownConfigMap(ofType)];
}

function namedConfigMaps(mounts: NonNullable<KubernetesFields['configMapSettings']>, ofType: string | undefined) {
  return mounts.map((mount, index) => ({
    ...mount,
    configMapName: (index === 0 ? ofType : undefined) ?? mount.configMapName ?? '',
  }));
}

const ownConfigMap = (configMapName: string): ConfigMapMount => ({
  configMapName,
  volumeName: 'config-volume',
  volumeMountPath: '/app/config',
  mapKeyPaths: [
    { key: 'external-properties', path: 'external.properties' },
    { key: 'env-properties', path: 'env.properties' },
  ],
});

function selectorOf({ useTaintedNodes, taintedNodeSelector }: KubernetesFields): Record<string, string> {
  if (useTaintedNodes !== true || taintedNodeSelector === undefined) return {};
  const { key, value } = taintOf(taintedNodeSelector);
  return { [key]: value };
}

function tolerationOf({ useTaintedNodes, taintedNodeToleration }: KubernetesFields): readonly Toleration[] {
  if (useTaintedNodes !== true || taintedNodeToleration === undefined) return [];
  const { key, value, effect } = taintOf(taintedNodeToleration);
  const matches = value === '' ? ({ operator: 'Exists' } as const) : ({ operator: 'Equal', value } as const);
  return [{ key, ...matches, ...(effect !== undefined && { effect }) }];
}

function taintOf(text: string) {
  const [pair = '', effect] = text.split(':');
  const [key = '', value = ''] = pair.split('=');
  return { key, value, effect: effect as Toleration['effect'] };
}

function aliveCheckOf(details: NonNullable<KubernetesFields['aliveCheckDetails']>): AliveCheck {
  return {
    ...(details.aliveCheckHost !== undefined && { host: details.aliveCheckHost }),
    path: details.alivePath,
    port: details.alivePort,
    periodSeconds: details.aliveCheckInterval,
    failureThreshold: details.aliveCheckFailureThreshold,
  };
}

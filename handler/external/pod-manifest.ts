/** The Pod of a tool: as locked up as a handler's, and owned by the handler's own Pod, so that it goes with that. */
import type { OperationFacts } from '../inputs.ts';
import type { Pod } from '../kubernetes/pod.ts';
import type { Json, JsonObject } from '../types.ts';
import { type ExternalTool, type ToolResources, toolDefaults } from './external-tool.ts';
import { toolContainer } from './pod-state.ts';

/** A user without a name in most images; a tool that shares volumes takes the handler's. */
const defaultUser = 65_532;

/** What the manifest is made from. */
export interface ManifestParts {
  readonly name: string;
  readonly tool: ExternalTool;
  readonly operation: OperationFacts;
  /** The handler's own Pod; undefined when the handler runs elsewhere. */
  readonly owner?: Pod | undefined;
}

/** The manifest. */
export function podManifest({ name, tool, operation, owner }: ManifestParts): JsonObject {
  const grace = tool.graceSeconds ?? toolDefaults.graceSeconds;
  const wishes = tool.kubernetes ?? {};
  const { volumes, volumeMounts } = volumesOf(tool, owner);
  const pullSecrets = wishes.imagePullSecrets?.map((secret) => ({ name: secret })) ?? owner?.spec?.imagePullSecrets;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: { ...{ 'app.kubernetes.io/name': 'pop-tool', 'app.kubernetes.io/part-of': 'pop' } },
      annotations: annotationsOf(operation),
      ...(owner !== undefined && { ownerReferences: [ownerReference(owner)] }),
    },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: wishes.serviceAccountName !== undefined,
      ...(wishes.serviceAccountName !== undefined && { serviceAccountName: wishes.serviceAccountName }),
      enableServiceLinks: false,
      terminationGracePeriodSeconds: grace,
      ...(tool.runSeconds !== undefined && {
        // The net only, for a handler that is gone: its clock begins before the image is there.
        activeDeadlineSeconds: Math.ceil(
          (tool.scheduledSeconds ?? toolDefaults.scheduledSeconds) + tool.runSeconds + grace,
        ),
      }),
      securityContext: owner?.spec?.securityContext ?? {
        ...{ runAsNonRoot: true, runAsUser: defaultUser, runAsGroup: defaultUser, fsGroup: defaultUser },
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...(pullSecrets !== undefined && { imagePullSecrets: pullSecrets }),
      ...(owner?.spec?.tolerations !== undefined && { tolerations: owner.spec.tolerations }),
      ...(owner?.spec?.nodeSelector !== undefined && { nodeSelector: owner.spec.nodeSelector }),
      containers: [containerOf(tool, volumeMounts)],
      volumes,
      ...wishes.spec,
    },
  };
}

function containerOf(tool: ExternalTool, volumeMounts: readonly JsonObject[]): JsonObject {
  const { image, command, args, env = {}, workingDirectory, resources, kubernetes = {} } = tool;
  return {
    name: toolContainer,
    image: image ?? '',
    ...(command !== undefined && { command }),
    ...(args !== undefined && { args }),
    ...(workingDirectory !== undefined && { workingDir: workingDirectory }),
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    ...(resources !== undefined && { resources: resourcesOf(resources) }),
    volumeMounts,
    // Its last words, where it leaves no message of its own.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      ...kubernetes.securityContext,
    },
  };
}

function resourcesOf({ cpu, memory, others = {} }: ToolResources): JsonObject {
  return {
    requests: { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }), ...others },
    limits: { ...(memory !== undefined && { memory }), ...others },
  };
}

/** @throws when a shared volume is not there */
function volumesOf({ kubernetes = {} }: ExternalTool, owner: Pod | undefined) {
  const { sharedVolumes = [], volumes = [], volumeMounts = [] } = kubernetes;
  const shared = sharedVolumes.map((name) => {
    const volume = owner?.spec?.volumes?.find((each) => each.name === name);
    if (volume === undefined) throw new Error(`The handler's Pod has no volume "${name}" for the tool to share.`);
    return volume;
  });
  const mounts = (owner?.spec?.containers?.[0]?.volumeMounts ?? []).filter(({ name }) => sharedVolumes.includes(name));
  const asked = [...mounts, ...volumeMounts];
  // The root is read-only, and most tools want a place for their temporary files.
  const hasTemporary = asked.some(({ mountPath }) => mountPath === '/tmp');
  const temporary = hasTemporary ? [] : [{ name: 'pop-tmp', emptyDir: {} }];
  return {
    volumes: [...shared, ...volumes, ...temporary],
    volumeMounts: [...asked, ...temporary.map(({ name }) => ({ name, mountPath: '/tmp' }))],
  };
}

/** In full in annotations: labels take 63 characters of few kinds. */
function annotationsOf(operation: OperationFacts): Record<string, Json> {
  return {
    'pop.tool.agenda': operation.agendaId,
    'pop.tool.operation': operation.operationName,
    'pop.tool.customer': operation.customerId,
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
    'karpenter.sh/do-not-disrupt': 'true',
  };
}

function ownerReference({ metadata: { name, uid } }: Pod): JsonObject {
  return { apiVersion: 'v1', kind: 'Pod', name, uid, controller: false, blockOwnerDeletion: false };
}

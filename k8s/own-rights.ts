/** Which rights in the cluster a pool worker needs, and which of them it lacks. */
import type { KubernetesApi } from './kubernetes-api.ts';

/** A right, as RBAC names it. */
export interface Right {
  readonly verb: string;
  /** Absent: the group of Pods. */
  readonly group?: string;
  readonly resource: string;
  readonly subresource?: string;
  /** Of one object. */
  readonly name?: string;
  /** Absent: in all namespaces. */
  readonly namespace?: string;
}

const onPods = ['create', 'get', 'list', 'watch', 'patch', 'delete'];
/** They go with their Pods: the cluster deletes what an owner leaves. */
const onSecrets = ['create', 'patch'];

/** What a pool worker does with Pods in a namespace, or in all (`undefined`), and with its own namespace. */
export function neededRights(own: string, namespace: string | undefined): readonly Right[] {
  const there = namespace === undefined ? {} : { namespace };
  return [
    ...onPods.map((verb) => ({ verb, resource: 'pods', ...there })),
    { verb: 'get', resource: 'pods', subresource: 'log', ...there },
    ...onSecrets.map((verb) => ({ verb, resource: 'secrets', ...there })),
    // To a namespace itself, a right in that namespace is enough.
    { verb: 'get', resource: 'namespaces', name: own, namespace: own },
    ...(namespace === undefined
      ? ['get', 'create', 'list', 'delete'].map((verb) => ({ verb, resource: 'namespaces' }))
      : []),
  ];
}

/** What making a namespace from the template takes: the path of each of its objects says of what kind it is. */
export function templateRights(paths: readonly string[]): readonly Right[] {
  return [...new Set(paths)].map((path) => {
    const group = /^\/apis\/([^/]+)\//.exec(path)?.[1];
    const resource = path.slice(path.lastIndexOf('/') + 1);
    return { verb: 'create', ...(group !== undefined && { group }), resource };
  });
}

/** Those that the cluster does not grant to whoever asks. */
export async function missingRights(api: KubernetesApi, rights: readonly Right[]): Promise<readonly Right[]> {
  const granted = await Promise.all(rights.map((right) => isGranted(api, right)));
  return rights.filter((_, index) => granted[index] !== true);
}

async function isGranted(api: KubernetesApi, right: Right): Promise<boolean> {
  const { status } = await api.ask<{ status?: { allowed?: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: right },
    },
  });
  return status?.allowed === true;
}

/** The rights in words, such as `create pods, get pods/log in media`. */
export function describeRights(rights: readonly Right[]): string {
  const byPlace = Map.groupBy(rights, ({ namespace }) => (namespace === undefined ? 'all namespaces' : namespace));
  return [...byPlace]
    .map(([place, list]) => {
      const words = list.map(({ verb, resource, subresource, name }) =>
        [verb, [resource, subresource].filter((part) => part !== undefined).join('/'), name].filter(Boolean).join(' '),
      );
      return `${words.join(', ')} in ${place}`;
    })
    .join('; ');
}

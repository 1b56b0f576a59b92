/** Connects a pool worker to its cluster, as its settings say. */
import { existsSync, readFileSync } from 'node:fs';
import { KubeConfig, type User } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import type { LiveRegistry } from '../launchers/live-registry.ts';
import type { Registry } from '../launchers/registry.ts';
import { positiveNumber, SettingError, WrongSettingError, wholeNumber } from '../process/environment.ts';
import { patiently } from '../process/patiently.ts';
import { ApiError } from './api-errors.ts';
import { CustomerNamespaces } from './customer-namespaces.ts';
import { KubernetesApi } from './kubernetes-api.ts';
import { KubernetesLauncher } from './kubernetes-launcher.ts';
import { hashOf } from './names.ts';
import { emptyTemplate, readNamespaceTemplate } from './namespace-template.ts';
import { describeRights, missingRights, neededRights, templateRights } from './own-rights.ts';

/** What a pool worker is set to about its cluster. */
export interface ClusterSettings {
  readonly config: KubeConfig;
  /** Where Pods go whose type names no other namespace. */
  readonly namespace: string;
  readonly namespaceTemplate?: string;
  /** How a namespace may begin that a Customer was given; absent: as those that the registry makes. */
  readonly customerNamespaces?: readonly string[];
  readonly nodeLostSeconds: number;
  readonly createsAtOnce: number;
}

const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Whether there is a cluster to connect to. */
export function isClusterNamed(environment = process.env): boolean {
  return Boolean(environment.POP_KUBECONFIG) || isInPod(environment);
}

const isInPod = (environment: NodeJS.ProcessEnv): boolean =>
  environment.KUBERNETES_SERVICE_HOST !== undefined && existsSync(`${accountFolder}/token`);

/**
 * The settings, from `POP_KUBECONFIG` or the Pod that the worker runs in; undefined when there is neither.
 * @throws SettingError
 */
export function clusterSettings(environment = process.env): ClusterSettings | undefined {
  const path = environment.POP_KUBECONFIG;
  if (!isClusterNamed(environment)) return undefined;
  const config = new KubeConfig();
  try {
    if (path) config.loadFromFile(path);
    else config.loadFromCluster();
    const context = environment.POP_KUBECONTEXT;
    if (context) config.setCurrentContext(context);
    config.users = config.users.map(withLiveToken);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (path) throw new WrongSettingError({ setting: 'POP_KUBECONFIG', problem: `cannot be used: ${path}: ${why}` });
    throw new SettingError(`the credentials of this Pod cannot be used: ${why}`, { cause: error });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new WrongSettingError(
      environment.POP_KUBECONTEXT
        ? {
            setting: 'POP_KUBECONTEXT',
            problem: `names no context of ${path || 'the Pod’s own credentials'}: "${environment.POP_KUBECONTEXT}"`,
          }
        : { setting: 'POP_KUBECONFIG', problem: `has no current context, so POP_KUBECONTEXT must name one: ${path}` },
    );
  // The library would refuse each request.
  if (!cluster.server.startsWith('https:') && !cluster.skipTLSVerify)
    throw new WrongSettingError({
      setting: 'POP_KUBECONFIG',
      problem: `names a cluster that is not reached by https: ${cluster.server}`,
    });
  const own = config.getContextObject(config.getCurrentContext())?.namespace;
  const inPod = !path ? readFileSync(`${accountFolder}/namespace`, 'utf8').trim() : undefined;
  const template = environment.POP_NAMESPACE_TEMPLATE;
  const prefixes = environment.POP_CUSTOMER_NAMESPACES;
  return {
    config,
    namespace: environment.POP_NAMESPACE || inPod || own || 'default',
    ...(template ? { namespaceTemplate: template } : {}),
    ...(prefixes ? { customerNamespaces: prefixesOf(prefixes) } : {}),
    nodeLostSeconds: wholeNumber('POP_NODE_LOST_SECONDS', 60),
    createsAtOnce: Math.ceil(positiveNumber('POP_PODS_CREATED_AT_ONCE', 20)),
  };
}

function prefixesOf(text: string): readonly string[] {
  const prefixes = text.split(',').map((prefix) => prefix.trim());
  for (const prefix of prefixes)
    if (!/^[a-z0-9][-a-z0-9]{0,62}$/.test(prefix))
      throw new WrongSettingError({
        setting: 'POP_CUSTOMER_NAMESPACES',
        problem: `must be beginnings of names of namespaces, such as "pop-,acme-", not "${text}"`,
      });
  return prefixes;
}

/** The library reads a file with a token once; as its own users of Pods have it, it is read anew when it changes. */
function withLiveToken(user: User): User {
  const { tokenFile } = user as User & { readonly tokenFile?: string };
  const file = tokenFile ?? (user as User & { readonly 'token-file'?: string })['token-file'];
  return file === undefined ? user : { ...user, authProvider: { name: 'tokenFile', config: { tokenFile: file } } };
}

/** Whose Pods they are. */
export interface PoolOfPods {
  readonly installationId: string;
  readonly resourcePoolId: string;
}

/** Who hears of the cluster. */
export interface ClusterSurroundings {
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onReachable: (reachable: boolean) => void;
}

/**
 * The launcher of Pods, once the cluster answers and grants what it needs.
 * @throws SettingError naming the rights that are missing, or what the cluster refuses
 */
export async function connectCluster(
  settings: ClusterSettings,
  { installationId, resourcePoolId }: PoolOfPods,
  registry: Pick<LiveRegistry, 'current'>,
  { log, signal, onReachable }: ClusterSurroundings,
): Promise<KubernetesLauncher> {
  const api = new KubernetesApi(settings.config);
  const { namespace, nodeLostSeconds, createsAtOnce, namespaceTemplate, customerNamespaces: prefixes } = settings;
  const isAllNeeded = [...namespacesOf(registry.current)].some((name) => name !== namespace);
  const template = namespaceTemplate === undefined ? emptyTemplate : readNamespaceTemplate(namespaceTemplate);
  const pool = hashOf(installationId, resourcePoolId);
  const connect = async () => {
    const all = [...neededRights(namespace, undefined), ...templateRights(template.objects.map(({ path }) => path))];
    const missingForAll = await missingRights(api, all);
    // Where all is granted all is watched: an edit of the registry, or one before, may name other namespaces.
    const watchesAll = isAllNeeded || missingForAll.length === 0;
    const missing = watchesAll ? missingForAll : await missingRights(api, neededRights(namespace, namespace));
    if (missing.length > 0)
      throw new SettingError(
        `the cluster at ${api.server} does not grant this pool worker: ${describeRights(missing)}; ` +
          (watchesAll
            ? 'a type has a "namespace" of its own: k8s/deploy/components/customer-namespaces has the ClusterRole'
            : 'k8s/deploy/base/pool-worker has the Role'),
      );
    const customerNamespaces = new CustomerNamespaces({
      ...{ api, pool, template, watchesAll },
      named: () => [...namespacesOf(registry.current)].filter((name) => !name.includes('{')),
      onStranger: (error) => log.warn({ err: error }, 'a Pod is not of this pool, whatever its labels say'),
      ...(prefixes !== undefined && { prefixes }),
    });
    return KubernetesLauncher.connect(
      {
        ...{ api, pool, namespace, customerNamespaces, nodeLostSeconds, createsAtOnce },
        onTrouble: (error) => log.warn({ err: error }, 'the files of a Pod could not be renewed; it runs on'),
        onReachable: (reachable, trouble) => {
          onReachable(reachable);
          if (reachable) log.info({ server: api.server }, 'the API server answers again');
          else log.warn({ err: trouble, server: api.server }, 'Pods cannot be followed just now; trying on');
        },
      },
      signal,
    );
  };
  const launcher = await patiently(connect, signal, (error, isFirst) => {
    signal.throwIfAborted();
    refuseUnlessAway(error, api.server);
    if (isFirst) log.warn({ err: error, server: api.server }, 'the API server does not answer yet; trying on');
  });
  onReachable(true);
  return launcher;
}

function* namespacesOf({ types }: Registry): Iterable<string> {
  for (const type of types.values())
    if (type.launch === 'kubernetes' && type.namespace !== undefined) yield type.namespace;
}

/** What is to be done about what the cluster said. */
const remedies = {
  401: 'renew the credentials that POP_KUBECONFIG names',
  403: 'k8s/deploy/base/pool-worker has the Role',
  404: 'make that namespace, or set POP_NAMESPACE',
} as const;

/** A cluster that is away is waited for. @throws SettingError when it refuses us; whatever is no answer of a cluster */
function refuseUnlessAway(error: unknown, server: string): void {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401 || error.status === 403 || error.status === 404)
    throw new SettingError(
      `the cluster at ${server} refuses this pool worker: ${error.message}; ${remedies[error.status]}`,
      { cause: error },
    );
}

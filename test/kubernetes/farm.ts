/**
 * The whole product on Kubernetes: one system (Postgres, Temporal, api, control worker) without a pool worker, and
 * pools of Pods on it, each with a namespace, a key and a registry of its own. Pool workers are processes of the
 * command `pop pool run`, with no more rights in the cluster than they need.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoreV1Api, RbacAuthorizationV1Api, type V1Pod, type V1PolicyRule } from '@kubernetes/client-node';
import { Client, Connection } from '@temporalio/client';
import postgres from 'postgres';
import { type AgendaProgress, client, type OperationProgress, type Request } from '../../examples/demo/client.ts';
import { GuardedProcess } from '../../machine/guarded-process.ts';
import { System } from '../../machine/system.ts';
import { compileCache } from '../../process/cache-folder.ts';
import { eventsAgainstRecord } from '../support/events-against-record.ts';
import { type ClusterFacts, clientConfig, kubeconfigFor } from './cluster/facts.ts';
import { sharedCluster, type TestNamespace, testNamespace, until } from './shared-cluster.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Faults are noticed within seconds here, not within minutes. */
const settings = { POP_HEARTBEAT_SECONDS: '5', POP_CANCEL_SECONDS: '15', POP_SWEEP_SECONDS: '1' };

/** A launch, as `GET /agenda/{id}/attempts` tells it. Times are epoch milliseconds. */
export interface Attempt {
  readonly operation: string;
  readonly launch: number;
  readonly operationAttempt: number;
  readonly ending: string;
  readonly decision: string;
  readonly category?: string;
  readonly code?: string;
  readonly place?: string;
  readonly worker?: string;
  readonly startedTime?: number;
  readonly endedTime?: number;
  readonly output?: { readonly path: string };
}

/** An Agenda that was taken. */
export interface SubmittedAgenda {
  readonly id: string;
  readonly progressId: string;
}

/** A system that pools of Pods are served from. */
export class Farm implements AsyncDisposable {
  readonly system: System;
  /** As the operator, who may do everything. */
  readonly request: Request;
  /** Queries of the record. */
  readonly sql: postgres.Sql;
  readonly #temporal: Connection;
  #pools = 0;

  private constructor(system: System) {
    this.system = system;
    this.request = client(system.urls.api, system.keys.operator);
    this.sql = postgres(system.urls.database, { max: 2, connect_timeout: 2, backoff: () => 0.05 });
    this.#temporal = Connection.lazy({ address: system.urls.temporal });
  }

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<Farm> {
    const home = await mkdtemp(join(tmpdir(), 'pop-farm-'));
    const registry = join(home, 'none.json');
    await writeFile(registry, '{"basePodConfig":{}}');
    const system = await System.start({
      ...{ home, registry, poolId: 'none', without: ['pool'] },
      environment: { ...settings, ...environment },
    });
    return new Farm(system);
  }

  /** A client of the system's Temporal. */
  get temporal(): Client {
    return new Client({ connection: this.#temporal });
  }

  /** Makes a pool that nobody serves yet, with one Customer whose Agendas all enter it. */
  async pool(types: object, options: FarmPoolOptions = {}): Promise<FarmPool> {
    this.#pools += 1;
    const id = `farm-${this.#pools}`;
    await this.request('POST', '/resourcepool', { id, customerId: 'operations', title: id });
    const { key } = await this.request<{ key: string }>('POST', '/apikey', { scopes: [`pool:${id}`] });
    const pool = await FarmPool.make(this, id, key, types, options);
    await pool.addCustomer(id, options.maximumRunning);
    return pool;
  }

  /** Where events and record differ: nothing where all is well. */
  differences(): Promise<string[]> {
    return eventsAgainstRecord({ $client: this.sql });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sql.end({ timeout: 1 });
    await this.#temporal.close();
    await this.system.stopAll();
    if (process.env.POP_KEEP === undefined)
      await rm(this.system.home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    else console.log(`kept: ${this.system.home}`);
  }
}

/** What differs from the usual pool. */
export interface FarmPoolOptions {
  readonly facts?: ClusterFacts;
  readonly nodes?: 'kwok' | 'real';
  /** Agendas that may run at once; 50. */
  readonly maximumRunning?: number;
  /** Whether its worker may act in all namespaces, as a pool with namespaces of Customers must. */
  readonly allNamespaces?: boolean;
}

/** How a pool worker is started. */
export interface SpawnOptions {
  /** Options of the command, in place of the usual ones. */
  readonly args?: Readonly<Record<string, string>>;
  /** A command that starts it, such as `ip netns exec`. */
  readonly around?: readonly string[];
}

/** A pool worker: a process of `pop pool run`. */
export interface FarmWorker extends AsyncDisposable {
  readonly process: GuardedProcess;
  /** What it wrote so far. */
  log(): Promise<string>;
  /** Resolves once its log has this text. */
  says(text: string, seconds?: number): Promise<string>;
}

/** A pool of Pods. */
export class FarmPool implements AsyncDisposable {
  readonly farm: Farm;
  readonly id: string;
  readonly key: string;
  readonly facts: ClusterFacts;
  readonly namespace: string;
  /** Its workers' registry. */
  readonly registry: string;
  /** Its workers' kubeconfig: of a ServiceAccount with the rights that a pool worker needs. */
  readonly kubeconfig: string;
  /** The token in it. */
  readonly token: string;
  readonly #made: TestNamespace;
  readonly #directory: string;
  #workers = 0;

  private constructor(parts: Pick<FarmPool, 'farm' | 'id' | 'key' | 'facts' | 'kubeconfig' | 'token'> & Made) {
    this.farm = parts.farm;
    this.id = parts.id;
    this.key = parts.key;
    this.facts = parts.facts;
    this.kubeconfig = parts.kubeconfig;
    this.token = parts.token;
    this.namespace = parts.made.name;
    this.#made = parts.made;
    this.#directory = parts.directory;
    this.registry = join(parts.directory, 'registry.json');
  }

  static async make(farm: Farm, id: string, key: string, types: object, options: FarmPoolOptions): Promise<FarmPool> {
    const facts = options.facts ?? sharedCluster();
    const made = await testNamespace(options.nodes ?? 'kwok', facts);
    const directory = await mkdtemp(join(tmpdir(), `pop-${id}-`));
    const token = await workerAccount(facts, made.name, options.allNamespaces ?? false);
    const kubeconfig = await kubeconfigFor(facts, token);
    const pool = new FarmPool({ farm, id, key, facts, kubeconfig, token, made, directory });
    await writeFile(join(directory, 'key'), key, { mode: 0o600 });
    await pool.register(types);
    return pool;
  }

  get core(): CoreV1Api {
    return clientConfig(this.facts).makeApiClient(CoreV1Api);
  }

  /** Writes the registry, over the one that is there. */
  async register(types: object, path = this.registry): Promise<void> {
    await writeFile(
      path,
      JSON.stringify({ basePodConfig: { imageName: 'none', cpuMinRequestCount: '10m' }, ...types }),
    );
  }

  /** Makes a Customer with an Insight that takes all of its Agendas. */
  async addCustomer(id: string, maximumRunning = 50, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const mine = { customerId: id, title: id, resourcePoolId: this.id };
    await this.farm.request('POST', '/customer', { ...mine, id, ...more });
    const limits = { queueSize: maximumRunning, maximumRunning };
    await this.farm.request('POST', '/insight', { ...mine, ...limits, id: `${id}-all`, mappers: { always: [] } });
  }

  /** Starts a pool worker; it may still be waiting for something. */
  spawn(given: Readonly<Record<string, string>> = {}, options: SpawnOptions = {}): FarmWorker {
    this.#workers += 1;
    const logFile = join(this.#directory, `worker-${this.#workers}.log`);
    const { urls } = this.farm.system;
    const args = {
      pool: this.id,
      api: urls.api,
      temporal: urls.temporal,
      'key-file': join(this.#directory, 'key'),
      registry: this.registry,
      ...options.args,
    };
    const command = [...(options.around ?? []), process.execPath, join(root, 'cli/pop.ts'), 'pool', 'run'];
    for (const [name, value] of Object.entries(args)) command.push(`--${name}`, value);
    const worker = new GuardedProcess({
      command: command as [string, ...string[]],
      directory: this.#directory,
      logFile,
      environment: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: compileCache,
        POP_KUBECONFIG: this.kubeconfig,
        POP_NAMESPACE: this.namespace,
        POP_CONCURRENCY: '100',
        POP_REAP_SECONDS: '10',
        ...settings,
        ...given,
      },
    });
    const log = () => readFile(logFile, 'utf8');
    return {
      process: worker,
      log,
      async says(text, seconds = 60) {
        const found = async () => (await log()).split('\n').find((line) => line.includes(text));
        try {
          return await until(`"${text}" in the log`, found, seconds);
        } catch (cause) {
          throw new Error(`The pool worker does not say "${text}", but:\n${await log()}`, { cause });
        }
      },
      [Symbol.asyncDispose]: async () => void (await worker.stop()),
    };
  }

  /** Starts a pool worker and resolves when it is ready. */
  async worker(given: Readonly<Record<string, string>> = {}, options: SpawnOptions = {}): Promise<FarmWorker> {
    const worker = this.spawn(given, options);
    await worker.says('pool worker ready');
    return worker;
  }

  /** Hands in an Agenda of these Operations. */
  async submit(
    operations: readonly object[],
    more: Readonly<Record<string, unknown>> = {},
    customerId = this.id,
  ): Promise<SubmittedAgenda> {
    const { id, progressId } = await this.farm.request<SubmittedAgenda>('POST', '/agenda', {
      ...{ customerId, operations },
      ...more,
    });
    return { id, progressId };
  }

  progress({ progressId }: SubmittedAgenda): Promise<AgendaProgress> {
    return this.farm.request('GET', `/progress/agenda/${progressId}`);
  }

  /** One of its Operations. */
  async operation(agenda: SubmittedAgenda, name: string): Promise<OperationProgress | undefined> {
    return (await this.progress(agenda)).operationProgress.find(({ operation }) => operation === name);
  }

  /** Resolves with the AgendaProgress once it has ended. */
  ended(agenda: SubmittedAgenda, seconds = 120): Promise<AgendaProgress> {
    const look = async () => {
      const progress = await this.progress(agenda);
      return progress.processingState === 'COMPLETE' ? progress : undefined;
    };
    return until(`end of the Agenda ${agenda.id}`, look, seconds);
  }

  /** All launches of an Agenda. */
  async attempts({ id }: SubmittedAgenda): Promise<readonly Attempt[]> {
    return (await this.farm.request<{ all: readonly Attempt[] }>('GET', `/agenda/${id}/attempts?limit=1000`)).all;
  }

  /** Its Pods, as the cluster has them now. */
  async pods(): Promise<V1Pod[]> {
    return (await this.core.listNamespacedPod({ namespace: this.namespace })).items;
  }

  /** A file of a Secret, once it is there: a Pod on paper runs before it has its files. */
  secretFile(name: string | undefined, file: string): Promise<string> {
    return until(`the Secret ${name}`, async () => {
      const { items } = await this.core.listNamespacedSecret({ namespace: this.namespace });
      const text = items.find(({ metadata }) => metadata?.name === name)?.data?.[file];
      return text === undefined ? undefined : Buffer.from(text, 'base64').toString();
    });
  }

  /** Resolves with the Pods once there are so many that are fit. */
  untilPods(count: number, fit: (pod: V1Pod) => boolean = () => true, seconds = 60): Promise<V1Pod[]> {
    const look = async () => {
      const pods = (await this.pods()).filter(fit);
      return pods.length === count ? pods : undefined;
    };
    return until(`${count} Pods that fit`, look, seconds);
  }

  /** Cancels what runs, and waits until no Pod of it does. */
  async cancelAll(): Promise<void> {
    const open = await this.farm.sql<{ id: string }[]>`
      select r.agenda_id as id from running_agenda r join agenda a on a.id = r.agenda_id
      where a.customer_id = ${this.id}`;
    await Promise.all(open.map(({ id }) => this.farm.request('POST', `/agenda/${id}/cancel`)));
    await this.untilPods(0, isRunning);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeFinalizers(this.core, this.namespace);
    await this.#made[Symbol.asyncDispose]();
    const rbac = clientConfig(this.facts).makeApiClient(RbacAuthorizationV1Api);
    const labelSelector = `pop.test/of=${this.namespace}`;
    await rbac.deleteCollectionClusterRoleBinding({ labelSelector });
    await rbac.deleteCollectionClusterRole({ labelSelector });
    if (process.env.POP_KEEP === undefined) await rm(this.#directory, { recursive: true, force: true });
    else console.log(`kept: ${this.#directory}`);
  }
}

interface Made {
  readonly made: TestNamespace;
  readonly directory: string;
}

/** Pods that a failed test left would keep their namespace for ever. */
export async function removeFinalizers(core: CoreV1Api, namespace: string): Promise<void> {
  const { items } = await core.listNamespacedPod({ namespace });
  for (const { metadata } of items) {
    if (metadata?.finalizers === undefined) continue;
    const body = [{ op: 'remove', path: '/metadata/finalizers' }];
    await core.patchNamespacedPod({ namespace, name: metadata.name ?? '', body }).catch(() => undefined);
  }
}

/** Whether its containers run. */
export const isRunning = ({ status, metadata }: V1Pod): boolean =>
  status?.phase === 'Running' && metadata?.deletionTimestamp === undefined;

const inNamespace: readonly V1PolicyRule[] = [
  { apiGroups: [''], resources: ['pods'], verbs: ['create', 'get', 'list', 'watch', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'patch'] },
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
];
/** Beside them, where Customers have namespaces of their own. */
const inAll: readonly V1PolicyRule[] = [
  { apiGroups: [''], resources: ['namespaces'], verbs: ['create', 'list', 'delete'] },
  { apiGroups: [''], resources: ['resourcequotas', 'limitranges', 'serviceaccounts'], verbs: ['create'] },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['create'] },
];

/** A ServiceAccount with the rights of a pool worker; answers its token. */
async function workerAccount(facts: ClusterFacts, namespace: string, allNamespaces: boolean): Promise<string> {
  const config = clientConfig(facts);
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);
  const metadata = { name: 'pool-worker', labels: { 'pop.test/of': namespace } };
  const subjects = [{ kind: 'ServiceAccount', name: 'pool-worker', namespace }];
  const reference = (kind: string, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
  if (allNamespaces) {
    const forAll = { ...metadata, name: `pool-worker-${namespace}` };
    await rbac.createClusterRole({ body: { metadata: forAll, rules: [...inNamespace, ...inAll] } });
    const roleRef = reference('ClusterRole', forAll.name);
    await rbac.createClusterRoleBinding({ body: { metadata: forAll, roleRef, subjects } });
  } else {
    await rbac.createNamespacedRole({ namespace, body: { metadata, rules: [...inNamespace] } });
    const roleRef = reference('Role', metadata.name);
    await rbac.createNamespacedRoleBinding({ namespace, body: { metadata, roleRef, subjects } });
  }
  return accountToken(facts, namespace, 'pool-worker');
}

/** Makes a ServiceAccount that may do nothing, and answers its token. */
export async function accountToken(facts: ClusterFacts, namespace: string, name: string): Promise<string> {
  const core = clientConfig(facts).makeApiClient(CoreV1Api);
  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
  const { status } = await core.createNamespacedServiceAccountToken({
    namespace,
    name,
    body: { spec: { audiences: [] } },
  });
  return status?.token ?? '';
}

/**
 * A ResourcePool whose Operations are Pods: the real api on a database of its own, real launchers and the activities of
 * pool workers. Nobody but the test calls the activities, so it sees what each of them comes to.
 */
import { writeFileSync } from 'node:fs';
import { CoreV1Api, type V1Pod } from '@kubernetes/client-node';
import type { Json } from '../../agenda/types.ts';
import type { KubernetesLauncher } from '../../k8s/kubernetes-launcher.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import { type Host, type TestWorker, testHost, testWorker } from '../support/pool-worker.ts';
import { ResourcePoolService } from '../support/resource-pool-service.ts';
import { clientConfig } from './cluster/facts.ts';
import { podLauncher, type TestLauncherOptions } from './pod-launcher.ts';
import { sharedCluster, until } from './shared-cluster.ts';

/** A pool worker that launches Pods. */
export interface PodWorker extends TestWorker {
  readonly pods: KubernetesLauncher;
}

/** Where a pool's Pods are reached from, beside its cluster. */
export interface PodPoolOptions extends TestLauncherOptions {
  /** Where Pods reach the api; default: where the test does. */
  readonly reach?: (url: string) => Promise<AsyncDisposable & { readonly url: string }>;
}

/** A pool with one type, `step`. */
export class PodPool implements AsyncDisposable {
  readonly service: ResourcePoolService;
  readonly namespace: string;
  readonly #host: Host;
  readonly #options: PodPoolOptions;
  readonly #workers = new Set<PodWorker>();
  #way: (AsyncDisposable & { readonly url: string }) | undefined;

  private constructor(service: ResourcePoolService, host: Host, namespace: string, options: PodPoolOptions) {
    this.service = service;
    this.#host = host;
    this.namespace = namespace;
    this.#options = options;
  }

  /** Opens the pool; `podConfig` is the registry entry of its type. */
  static async open(namespace: string, podConfig: object, options: PodPoolOptions = {}): Promise<PodPool> {
    const pool = new PodPool(await ResourcePoolService.open(), await testHost(), namespace, options);
    pool.#way = await options.reach?.(pool.service.url);
    pool.setType(podConfig);
    return pool;
  }

  /** What counts from the next launch on. */
  setType(podConfig: object): void {
    const registry = { basePodConfig: { imageName: 'none' }, step: { podConfig } };
    writeFileSync(this.#host.registry, JSON.stringify(registry));
  }

  /** One more pool worker; in another namespace it is that of another cluster. */
  async worker(more: TestLauncherOptions & { readonly namespace?: string } = {}): Promise<PodWorker> {
    const { namespace = this.namespace, ...options } = more;
    const { reach: _, ...usual } = this.#options;
    const pods = await podLauncher(namespace, { ...usual, ...options });
    const url = this.#way?.url ?? this.service.url;
    const { apiKey, resourcePoolId } = this.service;
    const worker = testWorker(this.#host, { url, apiKey, resourcePoolId }, {}, { kubernetes: pods });
    const whole: PodWorker = Object.assign(worker, { pods });
    this.#workers.add(whole);
    return whole;
  }

  /** An Operation that may be run. */
  async admit(payload?: Json): Promise<OperationKey> {
    const operation = { name: 'step', type: 'step', ...(payload !== undefined && { payload }) };
    return { agendaId: await this.service.admit([operation]), attempt: 1, operation: 'step', type: 'step' };
  }

  /** Its state in the record. */
  recorded({ agendaId, operation }: OperationKey) {
    return this.service.recorded(agendaId, operation);
  }

  /** Its next launch, the wait before which is over. */
  async again(worker: PodWorker, key: OperationKey): Promise<unknown> {
    await this.service.endWaits(key.agendaId);
    return worker.run(key, { attempt: 2 }).ended;
  }

  /** The Pods of the pool, oldest first. */
  async pods(): Promise<V1Pod[]> {
    const api = clientConfig(this.#options.facts ?? sharedCluster()).makeApiClient(CoreV1Api);
    const { items } = await api.listNamespacedPod({ namespace: this.namespace });
    const time = ({ metadata }: V1Pod) => metadata?.creationTimestamp?.getTime() ?? 0;
    return items.sort((a, b) => time(a) - time(b));
  }

  /** The first Pod for which the condition holds. */
  pod(what: string, condition: (pod: V1Pod) => boolean = () => true): Promise<V1Pod> {
    return until(what, async () => (await this.pods()).find(condition));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) {
      worker[Symbol.dispose]();
      worker.pods[Symbol.dispose]();
    }
    await this.#way?.[Symbol.asyncDispose]();
    await this.#host[Symbol.asyncDispose]();
    await this.service[Symbol.asyncDispose]();
  }
}

/** Whether the handler's container runs. */
export const isRunning = ({ status }: V1Pod): boolean =>
  status?.containerStatuses?.find(({ name }) => name === 'handler')?.state?.running !== undefined;

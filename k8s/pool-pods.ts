/**
 * What is asked of the cluster about one Pod of a pool, and what is done to it. Each answer is told to the informer,
 * for the watch may tell it only later. Whoever may make Pods anywhere in the cluster may give one our labels: one in a
 * place that is not the pool's is nobody's here.
 */
import { ApiError, isNotFound } from './api-errors.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { annotations, labels } from './names.ts';
import { type Pod, timeOf } from './pod.ts';
import { PodInformer } from './pod-informer.ts';
import { isPodOf, type KubernetesRun } from './pod-spec.ts';
import { type StopOrder, stopOrderOf } from './stop-order.ts';

/** Whose Pods they are, and where. */
export interface PoolPodsOptions {
  readonly api: KubernetesApi;
  /** Value of the label that tells pools apart. */
  readonly pool: string;
  /** `undefined` in the list: all namespaces of the cluster. */
  readonly namespaces: readonly (string | undefined)[];
  /** Those of them that are where Pods of the pool may be. */
  readonly ours: (pods: readonly Pod[]) => Promise<readonly Pod[]>;
  /** Told once per change whether the API server answers. */
  readonly onReachable: (reachable: boolean, trouble?: Error) => void;
}

/** How often an order is written anew when somebody changes the Pod at the same moment. */
const mostOrderTries = 5;

/** The Pods of a pool that are not done. */
export class PoolPods implements Disposable {
  readonly api: KubernetesApi;
  /** As far as this worker knows them. */
  readonly known: PodInformer;
  readonly #namespaces: PoolPodsOptions['namespaces'];
  readonly #ours: PoolPodsOptions['ours'];
  readonly #selector: string;

  constructor({ api, pool, namespaces, ours, onReachable }: PoolPodsOptions) {
    this.api = api;
    this.#namespaces = namespaces;
    this.#ours = ours;
    this.#selector = `${labels.pool}=${pool},!${labels.done}`;
    this.known = new PodInformer({ api, namespaces, selector: this.#selector, onReachable });
  }

  [Symbol.dispose](): void {
    this.known[Symbol.dispose]();
  }

  /**
   * The Pods of a launch: one, or those that say so as long as none was found to be it. From the cluster when none is
   * known: another worker may have launched it a moment ago.
   */
  async of(key: string): Promise<readonly Pod[]> {
    const known = await this.#admitted(this.known.get(key));
    if (known.length > 0) return this.#newest(known);
    if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(key)) return [];
    return this.#newest(await this.select(`${labels.key}=${key}`));
  }

  /** The Pod of a run, as far as it is known here, claimed for it. */
  async knownOf(run: KubernetesRun): Promise<Pod | undefined> {
    return this.#claimed(run, await this.#admitted(this.known.get(run.key)));
  }

  /** The Pod of a run, claimed for it; from the cluster when it is not known. */
  async ofRun(run: KubernetesRun): Promise<Pod | undefined> {
    return (await this.knownOf(run)) ?? this.#claimed(run, await this.select(`${labels.key}=${run.key}`));
  }

  /** All that are known. */
  async all(): Promise<readonly Pod[]> {
    return this.#newest(await this.#admitted(this.known.all));
  }

  /** Those in places of the pool. What was claimed was found to be there. */
  async #admitted(pods: readonly Pod[]): Promise<readonly Pod[]> {
    const open = pods.filter((pod) => !this.known.isClaimed(pod));
    if (open.length === 0) return pods;
    const admitted = new Set(await this.#ours(open));
    return pods.filter((pod) => this.known.isClaimed(pod) || admitted.has(pod));
  }

  #claimed(run: KubernetesRun, pods: readonly Pod[]): Pod | undefined {
    const fitting = this.#newest(pods).filter((pod) => isPodOf(run, pod));
    const pod = fitting.find(({ metadata }) => metadata.deletionTimestamp === undefined) ?? fitting[0];
    if (pod !== undefined) this.known.claim(pod);
    return pod;
  }

  /** As they are by now, without those that are gone. */
  #newest(pods: readonly Pod[]): readonly Pod[] {
    return pods.flatMap((pod) => this.known.newest(pod) ?? []);
  }

  /** Those of a label, as the cluster has them now. */
  async select(selector: string): Promise<readonly Pod[]> {
    const lists = await Promise.all(
      this.#namespaces.map((namespace) =>
        this.api.ask<{ items: readonly Pod[] }>({
          path: namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${namespace}/pods`,
          query: { labelSelector: `${this.#selector},${selector}` },
        }),
      ),
    );
    const pods = await this.#admitted(lists.flatMap(({ items }) => items));
    for (const pod of pods) this.known.learn(pod);
    return pods;
  }

  /** As the cluster has it now; undefined, and forgotten here, when it is not there any more. */
  async fresh(pod: Pod): Promise<Pod | undefined> {
    try {
      const fresh = await this.api.ask<Pod>({ path: pathOf(pod) });
      if (fresh.metadata.uid === pod.metadata.uid) {
        this.known.learn(fresh);
        return fresh;
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.known.forget(pod);
    return undefined;
  }

  /** Changes what its metadata says, and leaves what is not named. */
  async patch(pod: Pod, metadata: object): Promise<void> {
    const { uid } = pod.metadata;
    const patched = await this.api.ask<Pod>({
      method: 'PATCH',
      path: pathOf(pod),
      patch: 'strategic-merge',
      // Refused when another Pod has its name by now.
      body: { metadata: { ...metadata, uid } },
    });
    this.known.learn(patched);
  }

  /** Begins its end. With a `resourceVersion`: only if it has not changed since. */
  async delete(
    pod: Pod,
    { graceSeconds, resourceVersion }: { readonly graceSeconds?: number; readonly resourceVersion?: string } = {},
  ): Promise<void> {
    const { uid } = pod.metadata;
    await this.api.ask({
      method: 'DELETE',
      path: pathOf(pod),
      body: {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        // 0 would drop the Pod from the record while its processes still run.
        ...(graceSeconds !== undefined && { gracePeriodSeconds: Math.max(1, Math.ceil(graceSeconds)) }),
        preconditions: { uid, ...(resourceVersion !== undefined && { resourceVersion }) },
      },
    });
  }

  /** Writes down why it is stopped, then deletes it. The first order stands. */
  async order(pod: Pod, order: StopOrder, isWanted: (fresh: Pod) => boolean = () => true): Promise<void> {
    for (let tries = 0; tries < mostOrderTries; tries += 1) {
      const fresh = await this.fresh(pod);
      if (fresh === undefined || !isWanted(fresh)) return;
      try {
        if (stopOrderOf(fresh) === undefined && !(await this.#write(fresh, order))) continue;
        // Somebody else's deletion may leave it more time than this order does.
        const left = (timeOf(fresh.metadata.deletionTimestamp) ?? Number.POSITIVE_INFINITY) - this.api.now();
        if (left > (order.graceSeconds + 1) * 1_000) await this.delete(fresh, { graceSeconds: order.graceSeconds });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return;
    }
  }

  /** Resolves to false when the Pod changed meanwhile. */
  async #write(pod: Pod, order: StopOrder): Promise<boolean> {
    const { resourceVersion } = pod.metadata;
    const written = { [annotations.stop]: JSON.stringify(order) };
    try {
      await this.patch(pod, { resourceVersion, annotations: written });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409) return false;
      if (error.status !== 422) throw error;
      // A handler may have filled up what annotations may hold. It cannot keep its Pod alive by that.
      const room = { ...written, [annotations.progress]: null, [annotations.payload]: null };
      await this.patch(pod, { annotations: room });
    }
    return true;
  }
}

const pathOf = ({ metadata: { namespace, name } }: Pod): string => `/api/v1/namespaces/${namespace}/pods/${name}`;

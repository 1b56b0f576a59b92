/** Sees every Pod that a namespace ever has, by a watch of its own. */
import { CoreV1Api, type V1Pod, Watch } from '@kubernetes/client-node';
import { type ClusterFacts, clientConfig } from './cluster/facts.ts';

/** A Pod that was seen, with the launch that it is of. */
export interface SeenPod {
  readonly uid: string;
  readonly name: string;
  /** The five that name the launch, as JSON; undefined: it is none of POP's. */
  readonly launch: string | undefined;
  /** Its containers ran. */
  readonly hasBegun: boolean;
}

/**
 * A bare watch, from before the namespace's first Pod on. It goes on where it broke off, so it misses none; what cannot
 * be continued (410) is an error.
 */
export class PodWitness implements AsyncDisposable {
  readonly #seen = new Map<string, SeenPod>();
  readonly #path: string;
  readonly #watch: Watch;
  readonly #ending = new AbortController();
  #version: string;
  #trouble: unknown;
  #watching: Promise<void>;

  private constructor(facts: ClusterFacts, namespace: string, version: string) {
    this.#path = `/api/v1/namespaces/${namespace}/pods`;
    this.#watch = new Watch(clientConfig(facts));
    this.#version = version;
    this.#watching = this.#goOn();
  }

  /** Begins, while there is no Pod in the namespace yet. */
  static async begin(facts: ClusterFacts, namespace: string): Promise<PodWitness> {
    const { metadata, items } = await clientConfig(facts).makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
    if (items.length > 0) throw new Error(`There are Pods in ${namespace} already.`);
    return new PodWitness(facts, namespace, metadata?.resourceVersion ?? '');
  }

  /** Every Pod so far. @throws when it may have missed one */
  get seen(): readonly SeenPod[] {
    if (this.#trouble !== undefined) throw new Error('The witness may not have seen all.', { cause: this.#trouble });
    return [...this.#seen.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#watching;
  }

  async #goOn(): Promise<void> {
    while (!this.#ending.signal.aborted && this.#trouble === undefined) await this.#once();
  }

  /** One watch, until it ends for whatever reason. */
  async #once(): Promise<void> {
    const query = { resourceVersion: this.#version, allowWatchBookmarks: true, timeoutSeconds: 120 };
    let end: () => void = () => undefined;
    await new Promise<void>((resolve) => {
      const take = (type: string, object: V1Pod) => {
        if (type === 'ERROR') this.#trouble = object;
        else this.#take(type, object);
      };
      this.#watch
        .watch(this.#path, query, take, () => resolve())
        .then((controller) => {
          end = () => controller.abort();
          this.#ending.signal.addEventListener('abort', end);
          if (this.#ending.signal.aborted) end();
        }, resolve);
    });
    this.#ending.signal.removeEventListener('abort', end);
  }

  #take(type: string, { metadata, status }: V1Pod): void {
    this.#version = metadata?.resourceVersion ?? this.#version;
    if (type === 'BOOKMARK' || metadata?.uid === undefined) return;
    const { uid, name = '' } = metadata;
    const launch = metadata.annotations?.['pop.fence'];
    const hasBegun = status?.containerStatuses?.some(({ state }) => state?.running ?? state?.terminated) ?? false;
    this.#seen.set(uid, { uid, name, launch, hasBegun: hasBegun || this.#seen.get(uid)?.hasBegun === true });
  }
}

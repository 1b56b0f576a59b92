/**
 * Which namespaces are marked as those of Customers. Who may make Pods in a namespace may not write its labels, so they
 * say whose its Pods can be. One list tells those of all, when one is asked for that was not looked at lately.
 */
import type { KubernetesApi } from './kubernetes-api.ts';
import { listAll } from './list-all.ts';
import { labels } from './names.ts';
import type { ObjectMeta } from './pod.ts';

/** Then it is looked at again: it may be gone and made anew since, for another Customer. */
const trustedMilliseconds = 60_000;

interface Namespace {
  readonly metadata: Pick<ObjectMeta, 'name' | 'labels'>;
}

/** The marks for Customers, of the namespaces that a pool may use. */
export class NamespaceMarks {
  readonly #api: KubernetesApi;
  readonly #pool: string;
  #marks: ReadonlyMap<string, string> = new Map();
  /** Until when what is known of a name counts: that it has its mark, or none. */
  readonly #untilTimes = new Map<string, number>();
  #looking: Promise<void> | undefined;

  constructor(api: KubernetesApi, pool: string) {
    this.#api = api;
    this.#pool = pool;
  }

  /**
   * The marks that namespaces have, hashes of Customers by name; those of the names are as they were lately.
   * @throws ApiError when one of the names was never looked at, and the server does not tell
   */
  async of(names: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
    const areFresh = () => [...names].every((name) => (this.#untilTimes.get(name) ?? 0) > performance.now());
    if (areFresh()) return this.#marks;
    try {
      // A look that had begun before may have missed what was made since.
      await this.#looking?.catch(() => undefined);
      if (areFresh()) return this.#marks;
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
      this.#trust(names);
    } catch (error) {
      // What was known goes on being so while the server is away, as it is for Pods.
      if (![...names].every((name) => this.#untilTimes.has(name))) throw error;
    }
    return this.#marks;
  }

  /** It turned out not to be as it was known. */
  forget(name: string): void {
    this.#untilTimes.delete(name);
  }

  #trust(names: Iterable<string>): void {
    for (const name of names) this.#untilTimes.set(name, performance.now() + trustedMilliseconds);
  }

  async #look(): Promise<void> {
    const markOf = ({ metadata }: Namespace): (readonly [string, string])[] => {
      const { [labels.customerId]: customer, [labels.pool]: pool = this.#pool } = metadata.labels ?? {};
      // One that an operator labelled by hand need not name the pool.
      return customer !== undefined && pool === this.#pool ? [[metadata.name, customer]] : [];
    };
    const marks = new Map(await listAll(this.#api, '/api/v1/namespaces', labels.customerId, markOf));
    this.#marks = marks;
    const now = performance.now();
    for (const [name, untilTime] of this.#untilTimes) if (untilTime <= now) this.#untilTimes.delete(name);
    this.#trust(marks.keys());
  }
}

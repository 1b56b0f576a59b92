/**
 * Knows all Pods of a pool as they are now, by one list and one watch for each namespace, shared by everybody who
 * follows one. A watch that ends is begun again where it was; one that the server cannot continue (410) is begun with a
 * new list; one that is silently dead ends by the library's limit on silence.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Watch } from '@kubernetes/client-node';
import { ApiError, apiErrorOf } from './api-errors.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { labels } from './names.ts';
import { type Pod, trimmed } from './pod.ts';

/** Hears of each change of one Pod; `isGone`: this was its last state. */
export type PodListener = (pod: Pod, isGone: boolean) => void;

/** What is watched. */
export interface PodInformerOptions {
  readonly api: KubernetesApi;
  /** `undefined` in the list: all namespaces of the cluster. */
  readonly namespaces: readonly (string | undefined)[];
  readonly selector: string;
  /** Told once per change. */
  readonly onReachable: (reachable: boolean, trouble?: ApiError) => void;
}

const pageSize = 500;
const firstRestMilliseconds = 100;
const longestRestMilliseconds = 5_000;
/**
 * Less than the silence that the library takes for death: a quiet watch ends in order, with a bookmark before, so the
 * next one goes on from there and needs no new list.
 */
const watchSeconds = 25;
const leastWatchMilliseconds = 500;
/** How many Pods that are gone are remembered, so that nothing brings them back. */
const mostGone = 5_000;

interface PodList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly Pod[];
}

/** The Pods of a pool. */
export class PodInformer implements Disposable {
  readonly #options: PodInformerOptions;
  readonly #ending = new AbortController();
  /** By key, then by uid: whoever may make Pods may give one the key of a launch, and hides no other by that. */
  readonly #pods = new Map<string, Map<string, Pod>>();
  /** The uid of the Pod that was found to be the launch's, by key. */
  readonly #claims = new Map<string, string>();
  readonly #listeners = new Map<string, Set<PodListener>>();
  readonly #gone = new Set<string>();
  readonly #synced: Promise<unknown>;
  #troubles = 0;

  constructor(options: PodInformerOptions) {
    this.#options = options;
    this.#synced = Promise.all(
      options.namespaces.map((namespace) => new Promise<void>((resolve) => void this.#follow(namespace, resolve))),
    );
  }

  /** Resolves once everything that is there is known. */
  async synced(signal?: AbortSignal): Promise<void> {
    if (signal === undefined) await this.#synced;
    else await Promise.race([this.#synced, aborted(signal)]);
  }

  /** The newest states of the Pods that say they are of a launch: the one that was claimed alone, when one was. */
  get(key: string): readonly Pod[] {
    const ofKey = this.#pods.get(key);
    const claimed = ofKey?.get(this.#claims.get(key) ?? '');
    return claimed === undefined ? [...(ofKey?.values() ?? [])] : [claimed];
  }

  /** The newest state of that very Pod; undefined when it is gone, or was never known. */
  newest(pod: Pod): Pod | undefined {
    return this.#pods.get(keyOf(pod))?.get(pod.metadata.uid);
  }

  /** Takes that a Pod is the launch's: others with its key do not count until it is gone. */
  claim(pod: Pod): void {
    this.#set(pod);
    if (this.newest(pod) !== undefined) this.#claims.set(keyOf(pod), pod.metadata.uid);
  }

  isClaimed(pod: Pod): boolean {
    return this.#claims.get(keyOf(pod)) === pod.metadata.uid;
  }

  get all(): readonly Pod[] {
    return [...this.#pods.keys()].flatMap((key) => this.get(key));
  }

  /** Takes what a request just answered, which the watch may tell only later. */
  learn(pod: Pod): void {
    this.#set(pod);
  }

  /** Takes that a Pod is gone or nobody's concern any more, which the watch may tell only later. */
  forget(pod: Pod): void {
    this.#delete(pod);
  }

  /** Calls the listener with each change until the returned function is called. */
  listen(key: string, listener: PodListener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(key);
    };
  }

  [Symbol.dispose](): void {
    this.#ending.abort(new Error('The Pods are not followed any more.'));
  }

  async #follow(namespace: string | undefined, onSynced: () => void): Promise<void> {
    const path = namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${namespace}/pods`;
    const { signal } = this.#ending;
    let version: string | undefined;
    while (!signal.aborted) {
      try {
        if (version === undefined) {
          version = await this.#list(path, namespace);
          onSynced();
        }
        version = await this.#watch(path, version);
        this.#answered();
      } catch (error) {
        if (signal.aborted) return;
        await this.#rest(apiErrorOf(error, this.#options.api.server));
      }
    }
  }

  /** Replaces what is known by what is there, page by page. */
  async #list(path: string, namespace: string | undefined): Promise<string> {
    const { api, selector } = this.#options;
    const there = new Set<string>();
    let version: string;
    let next: string | undefined;
    do {
      const query = { labelSelector: selector, limit: pageSize, continue: next };
      const page: PodList = await api.ask({ path, query, signal: this.#ending.signal });
      for (const pod of page.items) {
        there.add(pod.metadata.uid);
        this.#set(pod);
      }
      version = page.metadata.resourceVersion;
      next = page.metadata.continue || undefined;
    } while (next !== undefined);
    for (const pod of [...this.#pods.values()].flatMap((ofKey) => [...ofKey.values()])) {
      const isHere = namespace === undefined || pod.metadata.namespace === namespace;
      // What was launched after the list was made is not in it.
      if (isHere && !there.has(pod.metadata.uid) && versionOf(pod) <= Number(version)) this.#delete(pod);
    }
    return version;
  }

  /** Resolves with the version to go on from once the watch ended; undefined: only a new list can go on. */
  async #watch(path: string, from: string): Promise<string | undefined> {
    const { api, selector } = this.#options;
    let version: string | undefined = from;
    const query = {
      labelSelector: selector,
      resourceVersion: from,
      allowWatchBookmarks: true,
      timeoutSeconds: watchSeconds,
    };
    let end: () => void = () => undefined;
    const begun = performance.now();
    try {
      await new Promise<void>((resolve, reject) => {
        const take = (type: string, object: Pod & { readonly code?: number; readonly message?: string }) => {
          if (type === 'ERROR') {
            if (object.code === 410) version = undefined;
            else reject(new ApiError(object.code ?? 0, object.message ?? 'The watch ended with an error.'));
            return;
          }
          version = object.metadata.resourceVersion;
          if (type === 'DELETED') this.#delete(object);
          else if (type !== 'BOOKMARK') this.#set(object);
        };
        const done = (error: unknown) => {
          if (statusOf(error) === 410) version = undefined;
          // It was silent for long, as a quiet pool is, or as a dead connection is: a new one tells.
          else if (error instanceof Error && error.name !== 'TimeoutError' && error.name !== 'AbortError')
            return reject(error);
          return resolve();
        };
        new Watch(api.config).watch(path, query, take, done).then((controller) => {
          end = () => controller.abort();
          if (this.#ending.signal.aborted) end();
          else this.#ending.signal.addEventListener('abort', end, { once: true });
        }, reject);
      });
    } catch (error) {
      if (version === from) throw error;
      // It had told something, so it was alive: what it told counts.
    } finally {
      this.#ending.signal.removeEventListener('abort', end);
    }
    // A server that ends each watch at once is not asked without end.
    const left = leastWatchMilliseconds - (performance.now() - begun);
    if (left > 0 && !this.#ending.signal.aborted) await delay(left);
    return version;
  }

  /** What is told late, of a Pod that is gone or newer by now, changes nothing. */
  #set(given: Pod): void {
    if (this.#gone.has(given.metadata.uid)) return;
    const known = this.newest(given);
    if (known !== undefined && versionOf(given) <= versionOf(known)) return;
    if (given.metadata.labels?.[labels.done] !== undefined) {
      this.#delete(given);
      return;
    }
    const pod = trimmed(given);
    const ofKey = this.#pods.get(keyOf(pod)) ?? new Map<string, Pod>();
    this.#pods.set(keyOf(pod), ofKey.set(pod.metadata.uid, pod));
    this.#tell(pod, false);
  }

  #delete(given: Pod): void {
    const { uid } = given.metadata;
    const key = keyOf(given);
    const ofKey = this.#pods.get(key);
    ofKey?.delete(uid);
    if (ofKey?.size === 0) this.#pods.delete(key);
    if (this.#claims.get(key) === uid) this.#claims.delete(key);
    if (this.#gone.has(uid)) return;
    this.#gone.add(uid);
    const [oldest] = this.#gone;
    if (this.#gone.size > mostGone && oldest !== undefined) this.#gone.delete(oldest);
    this.#tell(trimmed(given), true);
  }

  #tell(pod: Pod, isGone: boolean): void {
    for (const listener of [...(this.#listeners.get(keyOf(pod)) ?? [])]) listener(pod, isGone);
  }

  #answered(): void {
    if (this.#troubles > 0) this.#options.onReachable(true);
    this.#troubles = 0;
  }

  async #rest(trouble: ApiError): Promise<void> {
    if (this.#troubles === 0) this.#options.onReachable(false, trouble);
    const mean = Math.min(longestRestMilliseconds, firstRestMilliseconds * 2 ** Math.min(this.#troubles, 10));
    this.#troubles += 1;
    const asked = (trouble.retryAfterSeconds ?? 0) * 1_000;
    await delay(Math.max(asked, mean * (0.5 + Math.random())), undefined, { signal: this.#ending.signal }).catch(
      () => undefined,
    );
  }
}

/** What its launch is found by. */
export const keyOf = ({ metadata }: Pod): string => metadata.labels?.[labels.key] ?? metadata.name;

/** Versions are numbers, and later ones are larger, whichever object they are of. */
const versionOf = ({ metadata }: Pod): number => Number(metadata.resourceVersion);

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

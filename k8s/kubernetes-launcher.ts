/**
 * Runs handlers as Pods. All that is known of a launch is on its Pod, so any worker of the pool in the same namespace
 * finds it, adopts it and finishes what another began. A finalizer keeps the Pod until its end is acknowledged.
 *
 *   start    Pod (create, or adopt what has its name and is of this launch) ─▶ its Secrets
 *   follow   each change of the shared informer, and a timer for the next limit
 *   stop     the order as an annotation ─▶ delete with grace ─▶ until nothing of it runs
 *   forget   the finalizer off, marked as done ─▶ deleted, or kept for a while to be looked at
 */
import PQueue from 'p-queue';
import {
  type Ending,
  type FollowEvents,
  type HandlerRun,
  isOf,
  type KnownRun,
  LaunchError,
  type Launcher,
  type OperationOfRun,
  type RunHandle,
} from '../launchers/launcher.ts';
import { type Fence, fenceOf } from '../messages/resource-pool.ts';
import { ApiError, isNotFound, isTaken, refusalOf } from './api-errors.ts';
import type { CustomerNamespaces } from './customer-namespaces.ts';
import { endingOf } from './ending.ts';
import { FollowedPod } from './followed-pod.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { annotations, finalizer, labels, operationHash } from './names.ts';
import { type Pod, timeOf } from './pod.ts';
import { PodInformer } from './pod-informer.ts';
import { goneLog, lastLineTime, readPodLog } from './pod-log.ts';
import { type PodReaping, type PodReapReport, reapPods } from './pod-reaper.ts';
import {
  type KubernetesRun,
  kubernetesRunOf,
  type PodGround,
  podNameOf,
  podOf,
  secretObject,
  secretsOf,
} from './pod-spec.ts';
import { hasRunningContainer, isOver, stateOf } from './pod-state.ts';
import { type StopOrder, stopOrderOf } from './stop-order.ts';

/** Where Pods are launched, and how. */
export interface KubernetesLauncherOptions extends PodGround {
  readonly api: KubernetesApi;
  /** Of types whose registry entry names no other. */
  readonly namespace: string;
  readonly customerNamespaces: CustomerNamespaces;
  /** Pods that are created at once. */
  readonly createsAtOnce: number;
  /** Told of what goes wrong without harm to a launch. */
  readonly onTrouble?: (error: unknown) => void;
  /** Told once per change whether the API server answers. */
  readonly onReachable: (reachable: boolean, trouble?: Error) => void;
}

const logsAtOnce = 20;
/** How often an order is written anew when somebody changes the Pod at the same moment. */
const mostOrderTries = 5;
/** A field of a podTemplate that the server does not know is refused, not dropped. */
const strictly = { fieldValidation: 'Strict' };
/** How long a stopped Pod may take beyond its grace until its node counts as dead. */
const stopMarginSeconds = 30;
/** How long a node may be silent that is asked for a log, in milliseconds. */
const [shortPatience, longPatience] = [3_000, 30_000];

/** Runs handlers as Pods of one cluster. */
export class KubernetesLauncher implements Launcher, Disposable {
  readonly place: string;
  readonly survivesWorker = true;
  readonly handsOverAtStart = true;
  readonly #options: KubernetesLauncherOptions;
  readonly #api: KubernetesApi;
  readonly #pods: PodInformer;
  readonly #creates: PQueue;
  /** Thousands may have ended while no worker was there, and each log takes memory. */
  readonly #logs = new PQueue({ concurrency: logsAtOnce });

  /**
   * Connects to the cluster and resolves once all Pods of the pool are known.
   * @throws ApiError when the cluster refuses, or does not answer after some tries.
   */
  static async connect(options: KubernetesLauncherOptions, signal?: AbortSignal): Promise<KubernetesLauncher> {
    const { api, namespace } = options;
    const path = `/api/v1/namespaces/${namespace}`;
    const { metadata } = await api.ask<{ metadata: { uid: string } }>({
      path,
      ...(signal !== undefined && { signal }),
    });
    const launcher = new KubernetesLauncher(options, metadata.uid);
    try {
      await launcher.#pods.synced(signal);
    } catch (error) {
      launcher[Symbol.dispose]();
      throw error;
    }
    return launcher;
  }

  private constructor(options: KubernetesLauncherOptions, namespaceUid: string) {
    this.#options = options;
    this.#api = options.api;
    // No two clusters have a namespace of the same uid.
    this.place = `kubernetes:${namespaceUid}`;
    this.#creates = new PQueue({ concurrency: options.createsAtOnce });
    this.#pods = new PodInformer({
      api: options.api,
      namespaces: options.customerNamespaces.watched(options.namespace),
      selector: `${labels.pool}=${options.pool},!${labels.done}`,
      onReachable: options.onReachable,
    });
  }

  async start(given: HandlerRun): Promise<RunHandle> {
    const run = kubernetesRunOf(given);
    const known = this.#pods.get(run.key);
    return this.#creates.add(() => (known === undefined ? this.#create(run) : this.#adopt(run, known)));
  }

  async follow(given: HandlerRun, events: FollowEvents, signal: AbortSignal): Promise<Ending> {
    const run = kubernetesRunOf(given);
    const first = await this.#current(run.key);
    signal.throwIfAborted();
    if (first === undefined)
      return { kind: 'lost', code: 'deleted', message: 'There is no Pod of this launch.', log: goneLog };
    const followed = new FollowedPod(run.settings, events);
    const { pod, isGone } = await this.#untilOver(run, first, followed, signal);
    const last = isGone && stateOf(pod).kind !== 'ended' && stopOrderOf(pod) === undefined ? withoutEnd(pod) : pod;
    const hasRun = stateOf(last).kind === 'ended' || pod.status?.containerStatuses?.some(({ state }) => state?.running);
    // The node of a Pod that was taken away may never answer, and the next launch waits for this.
    const patienceMilliseconds = stateOf(last).kind === 'taken' ? shortPatience : longPatience;
    const reading = { keepBytes: run.settings.logBytes, patienceMilliseconds, signal };
    const log = hasRun === true ? await this.#logs.add(() => readPodLog(this.#api, pod, reading)) : undefined;
    const { report, fault } = followed;
    return endingOf({
      pod: last,
      settings: run.settings,
      reported: { report, fault },
      ...(log !== undefined && { log }),
    });
  }

  async stop(key: string, graceSeconds: number): Promise<void> {
    const pod = await this.#current(key);
    if (pod === undefined || isOver(pod, this.#api.now())) return;
    await this.#order(pod, { reason: 'cancelled', graceSeconds });
    await this.#untilGone(key, graceSeconds);
  }

  async forget(key: string): Promise<void> {
    const known = await this.#current(key);
    // What has not begun as far as is known may have begun since.
    const pod = known !== undefined && stateOf(known).kind === 'waiting' ? await this.#fresh(known) : known;
    if (pod === undefined) return;
    const { kind } = stateOf(pod);
    const isGoing = pod.metadata.deletionTimestamp !== undefined;
    if (kind === 'running' && !isGoing) throw new Error(`${key} still runs; it is not forgotten.`);
    // A container that somebody put beside it may run for ever, and takes up its node while it does.
    const isKept =
      kind === 'ended' && pod.metadata.annotations?.[annotations.keep] !== undefined && !hasRunningContainer(pod);
    const release = { labels: { [labels.done]: 'true' }, [`$deleteFromPrimitiveList/finalizers`]: [finalizer] };
    try {
      // Released first, what has not ended would be out of everybody's sight if this process died in between.
      if (kind !== 'ended' && !isGoing) await this.#delete(pod);
      await this.#patch(pod, release);
      // The Secrets go with it.
      if (kind === 'ended' && !isKept) await this.#delete(pod);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.#pods.forget(pod);
  }

  /** The answer may have been lost, and not the request: a Pod that has begun has its files, and is not run again. */
  async abandon(key: string): Promise<void> {
    const known = await this.#current(key);
    const pod = known === undefined ? undefined : await this.#fresh(known);
    if (pod === undefined || stateOf(pod).kind !== 'waiting') return;
    try {
      await this.#delete(pod, { resourceVersion: pod.metadata.resourceVersion });
    } catch (error) {
      // It changed meanwhile, so it may have begun.
      if (error instanceof ApiError && error.status === 409) return;
      if (!isNotFound(error)) throw error;
    }
    await this.forget(key);
  }

  async list(): Promise<readonly KnownRun[]> {
    return [...this.#pods.all].flatMap((pod) => knownRunOf(pod, this.#api.now()));
  }

  /** Asks the cluster, for another worker may have launched it a moment ago. */
  async find(operation: OperationOfRun): Promise<readonly KnownRun[]> {
    const pods = await this.#select(`${labels.operationId}=${operationHash(operation)}`);
    return pods.flatMap((pod) => knownRunOf(pod, this.#api.now())).filter((run) => isOf(run, operation));
  }

  /** Clears away ended Pods of this pool. */
  reap(reaping: PodReaping, onBatch: () => void): Promise<PodReapReport> {
    const { api, pool, namespace, customerNamespaces } = this.#options;
    return reapPods({ api, pool, namespaces: customerNamespaces.watched(namespace), onBatch }, reaping);
  }

  [Symbol.dispose](): void {
    this.#pods[Symbol.dispose]();
  }

  async #create(run: KubernetesRun): Promise<RunHandle> {
    const namespace = await this.#options.customerNamespaces
      .of(run, this.#options.namespace)
      .catch((error: unknown) => {
        throw refusalOf(error);
      });
    const path = `/api/v1/namespaces/${namespace}/pods`;
    let pod: Pod;
    try {
      const body = podOf(run, namespace, this.#options);
      pod = await this.#api.ask<Pod>({ method: 'POST', path, query: strictly, body });
    } catch (error) {
      if (isTaken(error)) return this.#adopt(run, await this.#api.ask<Pod>({ path: `${path}/${podNameOf(run)}` }));
      // Without its namespace there is nothing to adopt; the next try makes it again.
      if (isNotFound(error)) this.#options.customerNamespaces.forget(namespace);
      throw refusalOf(error);
    }
    this.#pods.learn(pod);
    await this.#provideSecrets(run, pod);
    return { key: run.key, adopted: false };
  }

  async #adopt(run: KubernetesRun, pod: Pod): Promise<RunHandle> {
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    if (pod.metadata.annotations?.[annotations.fence] !== JSON.stringify(fenceOf(run)))
      throw new LaunchError('nameTaken', `The Pod ${name} is not of this launch; nothing was changed.`);
    if (pod.metadata.labels?.[labels.done] !== undefined) {
      // Whoever gave it up died before it was deleted.
      await this.#delete(pod);
      throw new Error(`The Pod ${name} of this launch was given up, and is going; another one follows.`);
    }
    this.#pods.learn(pod);
    const { kind } = stateOf(pod);
    // Whoever created it may have died before its Secrets were there; and the key of its token may have been replaced.
    if (kind === 'waiting' && pod.metadata.deletionTimestamp === undefined) await this.#provideSecrets(run, pod);
    // It has its files: a launch that runs does not fail for want of a newer token, which its next follower brings.
    else if (kind === 'running')
      await this.#provideSecrets(run, pod).catch((error: unknown) => this.#options.onTrouble?.(error));
    return { key: run.key, adopted: true };
  }

  async #provideSecrets(run: KubernetesRun, { metadata }: Pod): Promise<void> {
    const path = `/api/v1/namespaces/${metadata.namespace}/secrets`;
    await Promise.all(
      Object.entries(secretsOf(run)).map(async ([name, texts]) => {
        const body = secretObject(name, texts, this.#options, metadata);
        try {
          await this.#api.ask({ method: 'POST', path, body });
        } catch (error) {
          if (!isTaken(error)) throw error;
          // It may be left from a Pod of the same name that is gone, and would go with that one.
          const { ownerReferences } = body.metadata;
          const patch = { metadata: { ownerReferences }, data: body.data };
          await this.#api.ask({ method: 'PATCH', path: `${path}/${name}`, body: patch });
        }
      }),
    );
  }

  /** Resolves with the last state; `isGone`: it was deleted from under us. */
  #untilOver(
    run: KubernetesRun,
    first: Pod,
    followed: FollowedPod,
    signal: AbortSignal,
  ): Promise<{ pod: Pod; isGone: boolean }> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      let isBusy = false;
      let newest = first;
      const over = new AbortController();
      const following = AbortSignal.any([signal, over.signal]);
      const settle = (how: () => void) => {
        over.abort();
        clearTimeout(timer);
        stopListening();
        signal.removeEventListener('abort', onAbort);
        how();
      };
      const onAbort = () => settle(() => reject(signal.reason));
      const look = () => {
        clearTimeout(timer);
        const now = this.#api.now();
        const found = followed.look(newest, now);
        if (
          found.kind === 'over' ||
          (found.kind === 'stopping' && (isOver(newest, now) || this.#isNodeDead(newest, now)))
        )
          return settle(() => resolve({ pod: newest, isGone: false }));
        const wait = found.kind === 'wait' ? Math.max(0, found.untilTime - now) + 5 : 1_000;
        timer = setTimeout(safely(look), wait);
        if (found.kind === 'wait' || isBusy) return;
        isBusy = true;
        this.#act(found, newest, followed, following)
          .catch((error: unknown) => settle(() => reject(error)))
          .finally(() => {
            isBusy = false;
          });
      };
      // A throw in a timer or in a listener would be lost, and with it everybody's next look.
      const safely = (work: () => void) => () => {
        try {
          work();
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const stopListening = this.#pods.listen(run.key, (pod, isGone) => {
        if (pod.metadata.uid !== first.metadata.uid) return;
        newest = pod;
        safely(() => {
          if (!isGone) return look();
          followed.look(pod, this.#api.now());
          return settle(() => resolve({ pod, isGone: true }));
        })();
      });
      signal.addEventListener('abort', onAbort, { once: true });
      const known = this.#pods.get(run.key);
      if (known?.metadata.uid === first.metadata.uid) newest = known;
      safely(look)();
    });
  }

  /** Stops what broke a limit. */
  async #act(
    found: { kind: 'breach' | 'quiet' | 'stopping'; order: StopOrder },
    pod: Pod,
    followed: FollowedPod,
    following: AbortSignal,
  ): Promise<void> {
    if (found.kind === 'quiet') await followed.listen(lastLineTime(this.#api, pod, following), () => this.#api.now());
    if (following.aborted) return;
    // The watch may be late, and a clock may have been set: what the cluster says at this moment decides.
    await this.#order(pod, found.order, (fresh) => {
      const { kind } = followed.look(fresh, this.#api.now());
      return !following.aborted && kind === found.kind;
    });
  }

  /** Writes down why it is stopped, then deletes it. The first order stands. */
  async #order(pod: Pod, order: StopOrder, isWanted: (fresh: Pod) => boolean = () => true): Promise<void> {
    for (let tries = 0; tries < mostOrderTries; tries += 1) {
      const fresh = await this.#fresh(pod);
      if (fresh === undefined || !isWanted(fresh)) return;
      try {
        if (stopOrderOf(fresh) === undefined && !(await this.#write(fresh, order))) continue;
        // Somebody else's deletion may leave it more time than this order does.
        const left = (timeOf(fresh.metadata.deletionTimestamp) ?? Number.POSITIVE_INFINITY) - this.#api.now();
        if (left > (order.graceSeconds + 1) * 1_000) await this.#delete(fresh, { graceSeconds: order.graceSeconds });
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
      await this.#patch(pod, { resourceVersion, annotations: written });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409) return false;
      if (error.status !== 422) throw error;
      // A handler may have filled up what annotations may hold. It cannot keep its Pod alive by that.
      const room = { ...written, [annotations.progress]: null, [annotations.payload]: null };
      await this.#patch(pod, { annotations: room });
    }
    return true;
  }

  /** As the cluster has it now; undefined, and forgotten here, when it is not there any more. */
  async #fresh(pod: Pod): Promise<Pod | undefined> {
    try {
      const fresh = await this.#api.ask<Pod>({ path: pathOf(pod) });
      if (fresh.metadata.uid === pod.metadata.uid) {
        this.#pods.learn(fresh);
        return fresh;
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.#pods.forget(pod);
    return undefined;
  }

  /** It was to be gone long since, and its kubelet did not confirm it: nobody will. */
  #isNodeDead({ metadata }: Pod, now: number): boolean {
    const deadline = timeOf(metadata.deletionTimestamp);
    const margin = (this.#options.nodeLostSeconds + stopMarginSeconds) * 1_000;
    return deadline !== undefined && now > deadline + margin;
  }

  async #patch(pod: Pod, metadata: object): Promise<void> {
    const { uid } = pod.metadata;
    const patched = await this.#api.ask<Pod>({
      method: 'PATCH',
      path: pathOf(pod),
      patch: 'strategic-merge',
      // Refused when another Pod has its name by now.
      body: { metadata: { ...metadata, uid } },
    });
    this.#pods.learn(patched);
  }

  async #delete(
    pod: Pod,
    { graceSeconds, resourceVersion }: { readonly graceSeconds?: number; readonly resourceVersion?: string } = {},
  ): Promise<void> {
    const { uid } = pod.metadata;
    await this.#api.ask({
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

  /** Resolves when nothing of it runs, or its node must be dead: nobody can confirm the end then. */
  async #untilGone(key: string, graceSeconds: number): Promise<void> {
    const giveUp = (graceSeconds + this.#options.nodeLostSeconds + stopMarginSeconds) * 1_000;
    let stopListening: () => void = () => undefined;
    let looking: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      const until = performance.now() + giveUp;
      const look = () => {
        const pod = this.#pods.get(key);
        if (pod === undefined || isOver(pod, this.#api.now()) || performance.now() > until) resolve();
      };
      stopListening = this.#pods.listen(key, (_pod, isGone) => (isGone ? resolve() : look()));
      looking = setInterval(look, 1_000);
      look();
    });
    clearInterval(looking);
    stopListening();
  }

  async #current(key: string): Promise<Pod | undefined> {
    const known = this.#pods.get(key);
    if (known !== undefined) return known;
    const read = await this.#read(key);
    return this.#pods.get(key) ?? read;
  }

  /** From the cluster: it may have been launched a moment ago by another worker. */
  async #read(key: string): Promise<Pod | undefined> {
    if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(key)) return undefined;
    const [pod] = await this.#select(`${labels.key}=${key}`);
    if (pod !== undefined) this.#pods.learn(pod);
    return pod;
  }

  async #select(selector: string): Promise<readonly Pod[]> {
    const labelSelector = `${labels.pool}=${this.#options.pool},!${labels.done},${selector}`;
    const lists = await Promise.all(
      this.#options.customerNamespaces.watched(this.#options.namespace).map((namespace) =>
        this.#api.ask<{ items: readonly Pod[] }>({
          path: namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${namespace}/pods`,
          query: { labelSelector },
        }),
      ),
    );
    return lists.flatMap(({ items }) => items);
  }
}

const pathOf = ({ metadata: { namespace, name } }: Pod): string => `/api/v1/namespaces/${namespace}/pods/${name}`;

/** A Pod that vanished: nobody saw it end. */
const withoutEnd = (pod: Pod): Pod =>
  pod.metadata.deletionTimestamp === undefined
    ? { ...pod, metadata: { ...pod.metadata, deletionTimestamp: new Date().toISOString() } }
    : pod;

function knownRunOf(pod: Pod, now: number): KnownRun[] {
  const key = pod.metadata.labels?.[labels.key];
  const fence = readFence(pod);
  return key === undefined || fence === undefined ? [] : [{ key, ...fence, alive: !isOver(pod, now) }];
}

function readFence({ metadata }: Pod): Fence | undefined {
  try {
    const value = JSON.parse(metadata.annotations?.[annotations.fence] ?? 'null') as Partial<Fence> | null;
    if (value === null || typeof value !== 'object') return undefined;
    const { agendaId, attempt, operation, operationAttempt, launch } = value;
    if (typeof agendaId !== 'string' || typeof operation !== 'string') return undefined;
    if (typeof attempt !== 'number' || typeof operationAttempt !== 'number' || typeof launch !== 'number')
      return undefined;
    return { agendaId, attempt, operation, operationAttempt, launch };
  } catch {
    // Nobody's launch any more.
    return undefined;
  }
}

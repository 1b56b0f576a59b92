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
import type { PodReapAnswer, PodReapOrder } from '../messages/pod-reaping.ts';
import { fenceOf } from '../messages/resource-pool.ts';
import { ApiError, isNotFound, isTaken, refusalOf } from './api-errors.ts';
import type { CustomerNamespaces } from './customer-namespaces.ts';
import { endingOf } from './ending.ts';
import { FollowedPod } from './followed-pod.ts';
import { knownRunOf } from './known-run.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { annotations, finalizer, labels, operationHash } from './names.ts';
import type { Pod } from './pod.ts';
import { goneLog, readPodLog } from './pod-log.ts';
import { type Ended, reapPods } from './pod-reaper.ts';
import {
  isPodOf,
  type KubernetesRun,
  kubernetesRunOf,
  type PodGround,
  podNameOf,
  podOf,
  secretObject,
  secretsOf,
} from './pod-spec.ts';
import { hasRunningContainer, isOver, stateOf } from './pod-state.ts';
import { PoolPods } from './pool-pods.ts';
import { stopOrderOf } from './stop-order.ts';
import { type FollowingGround, untilGone, untilOver } from './until-over.ts';

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
/** A field of a podTemplate that the server does not know is refused, not dropped. */
const strictly = { fieldValidation: 'Strict' };
/** How long a node may be silent that is asked for a log, in milliseconds. */
const [shortPatience, longPatience] = [3_000, 30_000];

/** Runs handlers as Pods of one cluster. */
export class KubernetesLauncher implements Launcher, Disposable {
  readonly place: string;
  readonly survivesWorker = true;
  readonly handsOverAtStart = true;
  readonly #options: KubernetesLauncherOptions;
  readonly #api: KubernetesApi;
  readonly #pods: PoolPods;
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
      await launcher.#pods.known.synced(signal);
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
    const { api, pool, namespace, customerNamespaces, onReachable } = options;
    const ours = (pods: readonly Pod[]) => customerNamespaces.ours(pods, namespace);
    this.#pods = new PoolPods({ api, pool, namespaces: customerNamespaces.watched(namespace), ours, onReachable });
  }

  async start(given: HandlerRun): Promise<RunHandle> {
    const run = kubernetesRunOf(given);
    return this.#creates.add(async () => {
      const known = await this.#pods.knownOf(run);
      return known === undefined ? this.#create(run) : this.#adopt(run, known);
    });
  }

  async follow(given: HandlerRun, events: FollowEvents, signal: AbortSignal): Promise<Ending> {
    const run = kubernetesRunOf(given);
    const first = await this.#pods.ofRun(run);
    signal.throwIfAborted();
    if (first === undefined)
      return { kind: 'lost', code: 'deleted', message: 'There is no Pod of this launch.', log: goneLog };
    const followed = new FollowedPod(run.settings, events);
    const { pod, isGone } = await untilOver(this.#ground, { key: run.key, first, followed, signal });
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
    const pods = (await this.#pods.of(key)).filter((pod) => !isOver(pod, this.#api.now()));
    await Promise.all(
      pods.map(async (pod) => {
        await this.#pods.order(pod, { reason: 'cancelled', graceSeconds });
        await untilGone(this.#ground, pod, graceSeconds);
      }),
    );
  }

  async forget(key: string): Promise<void> {
    await all(await this.#pods.of(key), (pod) => this.#forget(pod));
  }

  async #forget(known: Pod): Promise<void> {
    // What has not begun as far as is known may have begun since.
    const pod = stateOf(known).kind === 'waiting' ? await this.#pods.fresh(known) : known;
    if (pod === undefined) return;
    const { kind } = stateOf(pod);
    const isGoing = pod.metadata.deletionTimestamp !== undefined;
    if (kind === 'running' && !isGoing) throw new Error(`${pod.metadata.name} still runs; it is not forgotten.`);
    // A container that somebody put beside it may run for ever, and takes up its node while it does.
    const isKept =
      kind === 'ended' && pod.metadata.annotations?.[annotations.keep] !== undefined && !hasRunningContainer(pod);
    const release = { labels: { [labels.done]: 'true' }, [`$deleteFromPrimitiveList/finalizers`]: [finalizer] };
    try {
      // Released first, what has not ended would be out of everybody's sight if this process died in between.
      if (kind !== 'ended' && !isGoing) await this.#pods.delete(pod);
      await this.#pods.patch(pod, release);
      // The Secrets go with it.
      if (kind === 'ended' && !isKept) await this.#pods.delete(pod);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.#pods.known.forget(pod);
  }

  /** The answer may have been lost, and not the request: a Pod that has begun has its files, and is not run again. */
  async abandon(key: string): Promise<void> {
    await all(await this.#pods.of(key), (pod) => this.#abandon(pod));
  }

  async #abandon(known: Pod): Promise<void> {
    const pod = await this.#pods.fresh(known);
    if (pod === undefined || stateOf(pod).kind !== 'waiting') return;
    try {
      await this.#pods.delete(pod, { resourceVersion: pod.metadata.resourceVersion });
    } catch (error) {
      // It changed meanwhile, so it may have begun.
      if (error instanceof ApiError && error.status === 409) return;
      if (!isNotFound(error)) throw error;
    }
    await this.#forget(pod);
  }

  async list(): Promise<readonly KnownRun[]> {
    return (await this.#pods.all()).flatMap((pod) => knownRunOf(pod, this.#api.now()));
  }

  /** Asks the cluster, for another worker may have launched it a moment ago. */
  async find(operation: OperationOfRun): Promise<readonly KnownRun[]> {
    const pods = await this.#pods.select(`${labels.operationId}=${operationHash(operation)}`);
    return pods.flatMap((pod) => knownRunOf(pod, this.#api.now())).filter((run) => isOf(run, operation));
  }

  /** Clears away ended Pods of this pool. */
  reap(order: PodReapOrder, onBatch: () => void): Promise<PodReapAnswer> {
    const { api, pool, namespace, customerNamespaces } = this.#options;
    const ours = (ended: readonly Ended[]) => customerNamespaces.ours(ended, namespace);
    return reapPods({ api, pool, namespaces: customerNamespaces.watched(namespace), ours, onBatch }, order);
  }

  [Symbol.dispose](): void {
    this.#pods[Symbol.dispose]();
  }

  get #ground(): FollowingGround {
    return { pods: this.#pods, nodeLostSeconds: this.#options.nodeLostSeconds };
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
    this.#pods.known.claim(pod);
    await this.#provideSecrets(run, pod);
    return { key: run.key, adopted: false };
  }

  async #adopt(run: KubernetesRun, pod: Pod): Promise<RunHandle> {
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    if (!isPodOf(run, pod) || pod.metadata.annotations?.[annotations.fence] !== JSON.stringify(fenceOf(run)))
      throw new LaunchError('nameTaken', `The Pod ${name} is not of this launch; nothing was changed.`);
    if (pod.metadata.labels?.[labels.done] !== undefined) {
      // Whoever gave it up died before it was deleted.
      await this.#pods.delete(pod);
      throw new Error(`The Pod ${name} of this launch was given up, and is going; another one follows.`);
    }
    this.#pods.known.claim(pod);
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
}

/** Does the work for each, and throws what failed once the others are done. */
async function all(pods: readonly Pod[], work: (pod: Pod) => Promise<void>): Promise<void> {
  const done = await Promise.allSettled(pods.map(work));
  for (const each of done) if (each.status === 'rejected') throw each.reason;
}

/** A Pod that vanished: nobody saw it end. */
const withoutEnd = (pod: Pod): Pod =>
  pod.metadata.deletionTimestamp === undefined
    ? { ...pod, metadata: { ...pod.metadata, deletionTimestamp: new Date().toISOString() } }
    : pod;

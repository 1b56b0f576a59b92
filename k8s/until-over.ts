/** Follows the Pod of one launch until nothing of it runs, and stops it when it breaks a limit. */
import type { FollowedPod } from './followed-pod.ts';
import { type Pod, timeOf } from './pod.ts';
import { keyOf } from './pod-informer.ts';
import { lastLineTime } from './pod-log.ts';
import { isOver } from './pod-state.ts';
import type { PoolPods } from './pool-pods.ts';
import type { StopOrder } from './stop-order.ts';

/** How long a stopped Pod may take beyond its grace until its node counts as dead. */
const stopMarginSeconds = 30;

/** Where Pods are followed. */
export interface FollowingGround {
  readonly pods: PoolPods;
  /** From the moment that its node does not answer to the moment that the Pod is given up. */
  readonly nodeLostSeconds: number;
}

/** One launch that is followed, from the state in which it was found. */
export interface Following {
  readonly key: string;
  readonly first: Pod;
  readonly followed: FollowedPod;
  readonly signal: AbortSignal;
}

/**
 * Looks at each change of the shared informer, and when the next limit is due. Resolves with the last state; `isGone`:
 * it was deleted from under us.
 */
export function untilOver(
  ground: FollowingGround,
  { key, first, followed, signal }: Following,
): Promise<{ pod: Pod; isGone: boolean }> {
  const { api, known } = ground.pods;
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
      const now = api.now();
      const found = followed.look(newest, now);
      if (
        found.kind === 'over' ||
        (found.kind === 'stopping' && (isOver(newest, now) || isNodeDead(ground, newest, now)))
      )
        return settle(() => resolve({ pod: newest, isGone: false }));
      const wait = found.kind === 'wait' ? Math.max(0, found.untilTime - now) + 5 : 1_000;
      timer = setTimeout(safely(look), wait);
      if (found.kind === 'wait' || isBusy) return;
      isBusy = true;
      act(ground.pods, found, newest, followed, following)
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
    const stopListening = known.listen(key, (pod, isGone) => {
      if (pod.metadata.uid !== first.metadata.uid) return;
      newest = pod;
      safely(() => {
        if (!isGone) return look();
        followed.look(pod, api.now());
        return settle(() => resolve({ pod, isGone: true }));
      })();
    });
    signal.addEventListener('abort', onAbort, { once: true });
    newest = known.newest(first) ?? first;
    safely(look)();
  });
}

/** Stops what broke a limit. */
async function act(
  pods: PoolPods,
  found: { kind: 'breach' | 'quiet' | 'stopping'; order: StopOrder },
  pod: Pod,
  followed: FollowedPod,
  following: AbortSignal,
): Promise<void> {
  const { api } = pods;
  if (found.kind === 'quiet') await followed.listen(lastLineTime(api, pod, following), () => api.now());
  if (following.aborted) return;
  // The watch may be late, and a clock may have been set: what the cluster says at this moment decides.
  await pods.order(pod, found.order, (fresh) => {
    const { kind } = followed.look(fresh, api.now());
    return !following.aborted && kind === found.kind;
  });
}

/** It was to be gone long since, and its kubelet did not confirm it: nobody will. */
function isNodeDead({ nodeLostSeconds }: FollowingGround, { metadata }: Pod, now: number): boolean {
  const deadline = timeOf(metadata.deletionTimestamp);
  const margin = (nodeLostSeconds + stopMarginSeconds) * 1_000;
  return deadline !== undefined && now > deadline + margin;
}

/** Resolves when nothing of a stopped launch runs, or its node must be dead: nobody can confirm the end then. */
export async function untilGone(
  { pods: { api, known }, nodeLostSeconds }: FollowingGround,
  stopped: Pod,
  graceSeconds: number,
): Promise<void> {
  const giveUp = (graceSeconds + nodeLostSeconds + stopMarginSeconds) * 1_000;
  let stopListening: () => void = () => undefined;
  let looking: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    const until = performance.now() + giveUp;
    const look = () => {
      const pod = known.newest(stopped);
      if (pod === undefined || isOver(pod, api.now()) || performance.now() > until) resolve();
    };
    stopListening = known.listen(keyOf(stopped), look);
    looking = setInterval(look, 1_000);
    look();
  });
  clearInterval(looking);
  stopListening();
}

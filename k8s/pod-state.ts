/**
 * What a Pod's status means for its launch:
 *
 *   waiting ─▶ running ─▶ ended        the handler's container came to an end, whatever the Pod's phase says: the phase
 *      │          │                    lags behind by a second or more, and a sidecar may hold it for ever
 *      └──────────┴─▶ taken            the infrastructure took it away before an end of its own was seen
 */
import type { FailureCodeOf } from '../agenda/failure.ts';
import { handlerContainer, type Pod, type PodCondition, type Terminated, timeOf } from './pod.ts';
import { stopOrderOf } from './stop-order.ts';

/** Why the infrastructure takes a Pod away. */
export interface Disruption {
  readonly code: FailureCodeOf<'infrastructure'>;
  readonly message: string;
}

/** Why a Pod has not started yet. */
export interface WaitingCause {
  /** In the words of the scheduler, the registry or the kubelet. */
  readonly words: string;
  /** Set when it will hardly start by itself: so it fails once its time is over. */
  readonly code?: FailureCodeOf<'configuration'>;
}

/** Where a launch is. Times are epoch milliseconds. */
export type PodState =
  | { readonly kind: 'waiting'; readonly since: number; readonly cause?: WaitingCause }
  | { readonly kind: 'running'; readonly startedTime: number }
  | { readonly kind: 'ended'; readonly terminated: Terminated; readonly disruption?: Disruption }
  | { readonly kind: 'taken'; readonly disruption: Disruption };

const imageReasons = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'InvalidImageName',
  'ImageInspectError',
  'RegistryUnavailable',
]);
const containerReasons = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'CrashLoopBackOff',
]);

/** Reads the status. */
export function stateOf(pod: Pod): PodState {
  const { status, metadata } = pod;
  const disruption = disruptionOf(pod);
  const state = status?.containerStatuses?.find(({ name }) => name === handlerContainer)?.state;
  if (state?.terminated !== undefined) {
    const { terminated } = state;
    // The kubelet's word for a container that it knows nothing of any more.
    if (terminated.reason === 'ContainerStatusUnknown')
      return {
        kind: 'taken',
        disruption: disruption ?? {
          code: 'lost',
          message: terminated.message ?? 'The kubelet does not know how the container ended.',
        },
      };
    return { kind: 'ended', terminated, ...(disruption !== undefined && { disruption }) };
  }
  if (disruption !== undefined) return { kind: 'taken', disruption };
  if (status?.phase === 'Failed') return { kind: 'taken', disruption: rejected(pod) };
  const startedTime = timeOf(state?.running?.startedAt);
  if (startedTime !== undefined) return { kind: 'running', startedTime };
  const cause = waitingCause(pod);
  const since = timeOf(metadata.creationTimestamp) ?? Date.now();
  return { kind: 'waiting', since, ...(cause !== undefined && { cause }) };
}

/** Whether nothing of the handler runs any more, so that its Pod may be forgotten. */
export function isOver(pod: Pod, now: number): boolean {
  const { metadata, spec, status } = pod;
  const state = stateOf(pod);
  if (state.kind === 'ended' || status?.phase === 'Failed' || status?.phase === 'Succeeded') return true;
  if (metadata.deletionTimestamp === undefined) return false;
  // No node ever had it: nothing runs, and nobody will confirm that.
  if (spec?.nodeName === undefined) return true;
  const container = status?.containerStatuses?.find(({ name }) => name === handlerContainer);
  const isRunning = container?.state?.running !== undefined;
  // Its time has run out, and it had not begun.
  return !isRunning && now > (timeOf(metadata.deletionTimestamp) ?? now);
}

/** Whether a container of it still runs, the handler's or another. */
export const hasRunningContainer = ({ status }: Pod): boolean =>
  status?.containerStatuses?.some(({ state }) => state?.running !== undefined) ?? false;

/** Why it is taken away; undefined when it is not, or when we do it ourselves. */
function disruptionOf(pod: Pod): Disruption | undefined {
  const { metadata, status } = pod;
  if (stopOrderOf(pod) !== undefined) return undefined;
  if (status?.reason === 'Evicted') return { code: 'evicted', message: status.message ?? 'The Pod was evicted.' };
  // Somebody cleared away what had ended already.
  if (metadata.deletionTimestamp !== undefined && endedBeforeDeletion(pod)) return undefined;
  const target = condition(pod, 'DisruptionTarget');
  if (target?.status === 'True') {
    const isGoing = metadata.deletionTimestamp !== undefined || status?.phase === 'Failed';
    return isGoing ? targeted(target) : undefined;
  }
  if (metadata.deletionTimestamp === undefined) return undefined;
  return { code: 'deleted', message: 'The Pod was deleted, and not by POP.' };
}

/** Reasons of the condition DisruptionTarget (Kubernetes docs, "Pod disruption conditions"). */
function targeted({ reason = '', message = '' }: PodCondition): Disruption {
  const words = message === '' ? `The Pod was disrupted: ${reason}.` : message;
  switch (reason) {
    case 'PreemptionByScheduler':
      return { code: 'preempted', message: words };
    case 'DeletionByTaintManager':
      return { code: 'nodeLost', message: words };
    case 'TerminationByKubelet':
      // The kubelet has one reason for all that it does, and says in words what it was.
      if (/preempt/i.test(words)) return { code: 'preempted', message: words };
      return { code: words.includes('shutdown') ? 'drained' : 'evicted', message: words };
    case 'DeletionByPodGC':
      return { code: 'nodeLost', message: words };
    default:
      return { code: 'drained', message: words };
  }
}

/** A Pod that failed without its container having begun: its node would not have it. */
function rejected({ status }: Pod): Disruption {
  const { reason = 'no reason was given', message } = status ?? {};
  const words = `The node refused the Pod: ${message ?? reason}`;
  return { code: reason === 'NodeShutdown' || reason === 'Terminated' ? 'drained' : 'lost', message: words };
}

/**
 * The time of a deletion is told with its grace added. Within one second nobody can tell which came first, so the
 * handler's end does not count then.
 */
function endedBeforeDeletion(pod: Pod): boolean {
  const { metadata } = pod;
  const ended = timeOf(
    pod.status?.containerStatuses?.find(({ name }) => name === handlerContainer)?.state?.terminated?.finishedAt,
  );
  const deadline = timeOf(metadata.deletionTimestamp);
  if (ended === undefined || deadline === undefined) return false;
  return ended < deadline - (metadata.deletionGracePeriodSeconds ?? 0) * 1_000;
}

function waitingCause(pod: Pod): WaitingCause | undefined {
  const scheduled = condition(pod, 'PodScheduled');
  if (scheduled?.status === 'False')
    return { words: `The Pod cannot be scheduled: ${scheduled.message ?? scheduled.reason ?? 'no reason was given'}` };
  const containers = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const { name, state } of containers) {
    const { reason = '', message } = state?.waiting ?? {};
    const what = name === handlerContainer ? 'The container' : `The container ${name}`;
    const words = `${what} waits: ${message === undefined ? reason : `${reason}: ${message}`}`;
    if (imageReasons.has(reason)) return { words, code: 'imageUnavailable' };
    if (containerReasons.has(reason)) return { words, code: 'containerNotStarted' };
  }
  return undefined;
}

function condition({ status }: Pod, type: string): PodCondition | undefined {
  return status?.conditions?.find((each) => each.type === type);
}

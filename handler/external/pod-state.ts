/** What a tool's Pod says of itself: whether it waits and for what, runs, or has ended. */
import type { Pod } from '../kubernetes/pod.ts';
import type { ToolExit } from './external-tool.ts';

/** The container of the tool; a webhook may have added others. */
export const toolContainer = 'tool';

/** The state of a tool's Pod. `hopeless`: no waiting will make it start. */
export type PodState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly hopeless: boolean }
  | { readonly kind: 'running' }
  | { readonly kind: 'ended'; readonly exit: ToolExit };

const hopelessReasons: ReadonlySet<string> = new Set(['InvalidImageName', 'ErrImageNeverPull']);
/** The kubelet says these of every container before it begins: no news. */
const ordinaryReasons: ReadonlySet<string> = new Set(['ContainerCreating', 'PodInitializing']);

/** Reads the state. The container's is newer than the phase, which lags by a second. */
export function stateOf({ status = {} }: Pod): PodState {
  const state = status.containerStatuses?.find(({ name }) => name === toolContainer)?.state;
  if (state?.terminated !== undefined) {
    const { exitCode, reason, message } = state.terminated;
    // A deadline and an eviction stand at the Pod; its container was merely killed.
    const ofPod = status.phase === 'Failed' ? status.reason : undefined;
    const said = ofPod ?? (reason === 'Error' || reason === 'Completed' ? undefined : reason);
    return { kind: 'ended', exit: { exitCode, reason: said, message: (ofPod && status.message) || message?.trim() } };
  }
  if (status.phase === 'Failed' || status.phase === 'Succeeded') {
    const exitCode = status.phase === 'Succeeded' ? 0 : null;
    return { kind: 'ended', exit: { exitCode, reason: status.reason, message: status.message } };
  }
  if (state?.running !== undefined) return { kind: 'running' };
  const waiting = state?.waiting;
  if (waiting?.reason !== undefined && !ordinaryReasons.has(waiting.reason)) {
    const reason = waiting.message === undefined ? waiting.reason : `${waiting.reason}: ${waiting.message}`;
    return { kind: 'waiting', reason, hopeless: hopelessReasons.has(waiting.reason) };
  }
  const unplaced = status.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
  if (unplaced === undefined) return { kind: 'waiting', reason: '', hopeless: false };
  const words = [unplaced.reason, unplaced.message].filter((word) => word !== undefined).join(': ');
  return { kind: 'waiting', reason: words, hopeless: false };
}

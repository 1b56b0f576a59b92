/** Makes the Ending of a launch out of what its Pod says, and its log. */
import { maximumPayloadBytes } from '../agenda/types.ts';
import type { KubernetesSettings } from '../launchers/container/kubernetes-settings.ts';
import { signalOf } from '../launchers/exit-signal.ts';
import type { Ending, HandlerLog } from '../launchers/launcher.ts';
import {
  lastLines,
  limitEvent,
  type Outcome,
  outcomeOf,
  parseResult,
  type Reported,
  type Result,
  reportedEvents,
  resultTooLarge,
} from '../launchers/outcome.ts';
import { annotations } from './names.ts';
import { type Pod, type Terminated, timeOf } from './pod.ts';
import { terminationMessageBytes, terminationMessagesBytes } from './pod-spec.ts';
import { type Disruption, type PodState, stateOf } from './pod-state.ts';
import { type StopOrder, stopOrderOf } from './stop-order.ts';

/** Everything that is known of a launch that is over. */
export interface Remains {
  readonly pod: Pod;
  readonly settings: KubernetesSettings;
  readonly reported: Reported;
  /** Absent: the container never ran. */
  readonly log?: HandlerLog;
}

const noLog: HandlerLog = { output: '', totalBytes: 0 };

/** Decides how the launch ended. An order of ours decides first, then what the infrastructure did, then the handler. */
export function endingOf(remains: Remains): Ending {
  const { pod, reported, log } = remains;
  const state = stateOf(pod);
  const terminated = state.kind === 'ended' ? state.terminated : undefined;
  const common = { ...timesOf(terminated), ...(log !== undefined && { log }), ...progressOf(reported) };
  const order = stopOrderOf(pod);
  if (order !== undefined && order.reason !== 'complete') return { ...endingOfStop(order, remains), ...common };
  if (state.kind === 'taken' && isOverdue(pod)) return { ...endingOfDeadline('scheduled', remains), ...common };
  if (state.kind === 'taken') return { kind: 'lost', ...state.disruption, ...common };
  if (terminated === undefined) return { kind: 'lost', code: 'lost', message: 'The Pod came to no end.', ...common };
  const disruption = state.kind === 'ended' ? state.disruption : undefined;
  return { ...endingOfContainer(remains, terminated, disruption), ...common };
}

function endingOfStop(order: Exclude<StopOrder, { reason: 'complete' }>, remains: Remains): Ending {
  const { reported, log, pod } = remains;
  const state = stateOf(pod);
  const time = state.kind === 'ended' ? timeOf(state.terminated.finishedAt) : Date.now();
  switch (order.reason) {
    case 'cancelled':
      return { kind: 'cancelled', message: 'The Pod was stopped.', ...(time !== undefined && { endedTime: time }) };
    case 'failed': {
      const event = { code: order.code, message: order.words, ...(time !== undefined && { time }) };
      return { kind: 'failed', code: order.code, diagnosticEvents: [...reportedEvents(reported), event] };
    }
    case 'timedOut': {
      const event = limitEvent(order.limit, order.seconds, log ?? noLog, time);
      // On cgroup v1 a child may have been killed without a word to its parent, which then waited for it.
      const killed = isOutOfMemory(state)
        ? `A process of it took more memory than it may: ${memoryLimit(remains)}.`
        : '';
      const message = [event.message, order.words, killed].filter(Boolean).join(' ');
      return {
        kind: 'timedOut',
        limit: order.limit,
        diagnosticEvents: [...reportedEvents(reported), { ...event, message }],
      };
    }
  }
}

function endingOfContainer(remains: Remains, terminated: Terminated, disruption: Disruption | undefined): Ending {
  const { pod, settings, reported, log = noLog } = remains;
  const time = timeOf(terminated.finishedAt) ?? Date.now();
  // Whoever is drained and heeds SIGTERM may exit with any code, but it has not done its work.
  if (disruption !== undefined && !hasResult(remains, terminated)) return { kind: 'lost', ...disruption };
  if (isOverdue(pod) && disruption === undefined) return endingOfDeadline('run', remains, time);
  const { reason = '', exitCode } = terminated;
  // Whoever copes with the death of a child decides itself.
  if (reason === 'OOMKilled' && exitCode !== 0) return outOfMemory(remains, time);
  if (reason === 'StartError' || reason === 'ContainerCannotRun') {
    const message = `The container cannot be started: ${terminated.message ?? reason}`;
    const event = { code: 'containerNotStarted', message, time };
    return { kind: 'failed', code: 'containerNotStarted', diagnosticEvents: [event] };
  }
  const signal = signalOf(exitCode);
  return outcomeOf({
    settings,
    exitCode,
    ...(signal !== undefined && { signal }),
    time,
    log,
    reported,
    resultFile: () => resultOf(pod, terminated),
  });
}

/** The cluster kept the limit, for no worker was there that did. */
const isOverdue = ({ status }: Pod): boolean => status?.reason === 'DeadlineExceeded';

function endingOfDeadline(kind: 'scheduled' | 'run', { settings, reported, log }: Remains, time?: number): Ending {
  // A deadline of somebody's podTemplate has no limit of ours.
  const limit = settings.runSeconds === undefined ? 'scheduled' : kind;
  const seconds = limit === 'run' ? (settings.runSeconds ?? 0) : settings.scheduledSeconds;
  const event = limitEvent(limit, seconds, log ?? noLog, time);
  return { kind: 'timedOut', limit, diagnosticEvents: [...reportedEvents(reported), event] };
}

const isOutOfMemory = (state: PodState): boolean => state.kind === 'ended' && state.terminated.reason === 'OOMKilled';

function memoryLimit({ settings: { resources } }: Remains): string {
  const { memory } = resources;
  return memory === undefined ? 'its node had no more' : `its limit (memoryRequestCount) is ${memory}`;
}

function outOfMemory(remains: Remains, time: number): Outcome {
  const { reported, log = noLog } = remains;
  const event = {
    code: 'outOfMemory',
    message: `The handler was ended because it took more memory than it may: ${memoryLimit(remains)}.`,
    time,
    payload: lastLines(log),
  };
  // The cause first: what is told of an Agenda is the first of them.
  return { kind: 'failed', code: 'outOfMemory', diagnosticEvents: [event, ...reportedEvents(reported)] };
}

/** Whether the handler said itself that it came to its end, with a result. */
function hasResult({ pod, reported }: Remains, terminated: Terminated): boolean {
  if (reported.report?.outcome !== undefined) return true;
  return terminated.exitCode === 0 && resultOf(pod, terminated).kind === 'value';
}

/** The result by annotation, else the termination message. */
function resultOf(pod: Pod, { message }: Terminated): Result {
  const annotated = pod.metadata.annotations?.[annotations.payload];
  if (annotated !== undefined) return parseResult(annotated, 'The result in the annotation');
  if (message === undefined || message.trim() === '') return { kind: 'none' };
  const bytes = Buffer.byteLength(message);
  const most = terminationBytesOf(pod);
  // The kubelet keeps the end of what is longer, which may be JSON all the same.
  if (bytes < most) return parseResult(message, 'The result');
  const { kind, code } = resultTooLarge('The result', bytes);
  return {
    kind,
    code,
    message:
      `The result has ${most} bytes or more; Kubernetes hands over no more in POP_RESULT_FILE. ` +
      `A larger one, up to ${maximumPayloadBytes} bytes, is reported with the token (POP_TOKEN_FILE), as the SDK does.`,
  };
}

/** All containers of a Pod share what the kubelet hands over. */
function terminationBytesOf({ status }: Pod): number {
  const containers = (status?.containerStatuses?.length ?? 0) + (status?.initContainerStatuses?.length ?? 0);
  return Math.min(terminationMessageBytes, Math.floor(terminationMessagesBytes / Math.max(1, containers)));
}

function timesOf(terminated: Terminated | undefined): { startedTime?: number; endedTime?: number } {
  const startedTime = timeOf(terminated?.startedAt);
  const endedTime = timeOf(terminated?.finishedAt);
  return { ...(startedTime !== undefined && { startedTime }), ...(endedTime !== undefined && { endedTime }) };
}

const progressOf = ({ report }: Reported) => (report === undefined ? {} : { progress: report.progress });

/**
 * A tool as a Pod of its own. It is made, followed by a watch and its log until its container ends, and deleted, also
 * when the handler is asked to end. When the handler dies, Kubernetes collects it with the handler's Pod.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fail, HandlerFailure } from '../handler-failure.ts';
import { KubernetesClient, KubernetesRefusal, kubernetesAccess } from '../kubernetes/client.ts';
import type { Pod } from '../kubernetes/pod.ts';
import type { JsonObject } from '../types.ts';
import { factsOf, nameOf, type ToolExit, type ToolRun, toolDefaults } from './external-tool.ts';
import { LogFollower } from './follow-log.ts';
import { podManifest } from './pod-manifest.ts';
import { type PodState, stateOf } from './pod-state.ts';
import { podPath, readPod, watchPod } from './watch-pod.ts';

/** What a Pod that is being deleted may take beyond its grace. */
const goneSeconds = 60;

/** Runs it to its end; the Pod is gone then. */
export async function runPod(run: ToolRun): Promise<ToolExit> {
  const { tool, fields, operation, signal } = run;
  const access = kubernetesAccess(fields);
  if (access === undefined) {
    fail(`${nameOf(tool)} cannot run as a Pod: neither KUBERNETES_SERVICE_HOST nor POP_KUBERNETES_URL is set.`, {
      code: 'externalFailed',
    });
  }
  if (tool.image === undefined) fail(`${nameOf(tool)} has no image to run as a Pod.`, { code: 'externalFailed' });
  const client = new KubernetesClient(access);
  const own =
    fields.environment('KUBERNETES_SERVICE_HOST') === undefined ? undefined : fields.environment('MY_POD_NAME');
  const owner = own === undefined ? undefined : await readPod(client, own, signal);
  const name = `${(own ?? 'pop').slice(0, 40).replace(/[^a-z0-9]+$/, '')}-tool-${randomUUID().slice(0, 8)}`;
  try {
    await createPod(client, name, podManifest({ name, tool, operation, owner }), signal);
    return await followPod(client, name, run);
  } finally {
    await deletePod(client, name, tool.graceSeconds ?? toolDefaults.graceSeconds, signal.aborted);
  }
}

/** A create whose answer was lost finds the Pod there: nobody else makes this name. */
async function createPod(client: KubernetesClient, name: string, manifest: JsonObject, signal: AbortSignal) {
  try {
    await client.request({ method: 'POST', path: podPath(client), body: manifest, signal });
  } catch (error) {
    if (!(error instanceof KubernetesRefusal && error.status === 409)) throw error;
    if ((await readPod(client, name, signal)) === undefined) throw error;
  }
}

async function followPod(client: KubernetesClient, name: string, run: ToolRun): Promise<ToolExit> {
  const { tool, signal } = run;
  const tooLate = new AbortController();
  const scheduledSeconds = tool.scheduledSeconds ?? toolDefaults.scheduledSeconds;
  let waitsFor = '';
  const timer = setTimeout(() => tooLate.abort(notStarted(run, waitsFor, scheduledSeconds)), scheduledSeconds * 1_000);
  const either = AbortSignal.any([signal, tooLate.signal]);
  const broken = new AbortController();
  const over = new AbortController();
  const log = new LogFollower(client, name, run.line);
  let following: Promise<void> | undefined;
  let last: PodState | undefined;
  const begin = (): void => {
    clearTimeout(timer);
    run.started();
    following ??= log.follow(AbortSignal.any([signal, over.signal]));
    // A log that nobody may read fails the tool at once: its output is what it is run for.
    following.catch((error: unknown) => broken.abort(error));
  };
  const look = (pod: Pod): boolean => {
    const state = stateOf(pod);
    last = state;
    if (state.kind === 'waiting') {
      if (state.reason !== '' && state.reason !== waitsFor) run.waiting(state.reason);
      waitsFor = state.reason;
      if (state.hopeless) tooLate.abort(notStarted(run, waitsFor));
      return state.hopeless;
    }
    if (state.kind === 'running') begin();
    return state.kind === 'ended';
  };
  try {
    const pod = await watchPod(client, name, look, AbortSignal.any([either, broken.signal]));
    either.throwIfAborted();
    if (pod === undefined || last?.kind !== 'ended') throw deleted(run);
    const { exit } = last;
    // Without a container that began there is no log.
    log.end();
    if (pod.status?.containerStatuses?.some(({ state }) => state?.terminated !== undefined)) begin();
    await following;
    return exit;
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** Deletes it and waits until it is gone. The tool's own end is worth more than a fault here, which is told only. */
async function deletePod(
  client: KubernetesClient,
  name: string,
  graceSeconds: number,
  isStopped: boolean,
): Promise<void> {
  const grace = isStopped ? Math.floor(graceSeconds) : 0;
  const path = `${podPath(client, name)}?gracePeriodSeconds=${grace}`;
  const gone = client.request({ method: 'DELETE', path }).then(
    () => watchPod(client, name, () => false),
    (error: unknown) => {
      if (!(error instanceof KubernetesRefusal && error.status === 404)) throw error;
    },
  );
  const limit = new AbortController();
  try {
    await Promise.race([
      gone,
      delay((grace + goneSeconds) * 1_000, undefined, { signal: limit.signal }).then(() => {
        throw new Error(`it is still there ${grace + goneSeconds} s after it was deleted`);
      }),
    ]);
  } catch (error) {
    console.error(`The Pod ${name} of a tool could not be deleted: ${String(error)}`);
  } finally {
    limit.abort();
  }
}

function notStarted({ tool }: ToolRun, reason: string, seconds?: number): HandlerFailure {
  const when = seconds === undefined ? '' : ` within ${seconds} s`;
  return new HandlerFailure(`${nameOf(tool)} did not start${when}: ${reason || 'nothing says why'}.`, {
    code: 'externalNotStarted',
    payload: { ...factsOf(tool), reason },
  });
}

function deleted({ tool }: ToolRun): HandlerFailure {
  return new HandlerFailure(`The Pod of ${nameOf(tool)} was deleted by somebody else before it ended.`, {
    code: 'externalLost',
    payload: factsOf(tool),
  });
}

/**
 * Follows one Pod by a watch. A watch ends by itself now and then, and may be dead without a word behind a proxy: each
 * is asked for a minute, closed by us a little later, and the Pod is read before the next one begins.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type KubernetesClient, KubernetesRefusal } from '../kubernetes/client.ts';
import type { Pod } from '../kubernetes/pod.ts';
import { linesOf } from './lines.ts';

const watchSeconds = 60;
const deadAfterMilliseconds = (watchSeconds + 15) * 1_000;
/** Between watches that end at once, such as before a server that is starting. */
const restMilliseconds = 500;

/** Path of a Pod of the client's namespace. */
export function podPath(client: KubernetesClient, name = ''): string {
  return `/api/v1/namespaces/${client.namespace}/pods${name === '' ? '' : `/${encodeURIComponent(name)}`}`;
}

/** The Pod as it is; undefined when it is not there. */
export async function readPod(client: KubernetesClient, name: string, signal?: AbortSignal): Promise<Pod | undefined> {
  try {
    return (await client.request({ method: 'GET', path: podPath(client, name), signal })) as unknown as Pod;
  } catch (error) {
    if (error instanceof KubernetesRefusal && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * Hands each state of the Pod to `look`, until that answers true or the Pod is gone. Answers the last state, or
 * undefined when it is gone.
 */
export async function watchPod(
  client: KubernetesClient,
  name: string,
  look: (pod: Pod) => boolean,
  signal?: AbortSignal,
): Promise<Pod | undefined> {
  for (;;) {
    const pod = await readPod(client, name, signal);
    if (pod === undefined || look(pod)) return pod;
    const seen = await watchOnce(client, pod, look, signal);
    signal?.throwIfAborted();
    if (seen !== 'ended') return seen;
    await delay(restMilliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  }
}

interface WatchEvent {
  readonly type: string;
  readonly object: Pod;
}

/** `ended`: this watch is over and the Pod is to be read again. */
async function watchOnce(
  client: KubernetesClient,
  pod: Pod,
  look: (pod: Pod) => boolean,
  signal: AbortSignal | undefined,
): Promise<Pod | undefined | 'ended'> {
  const { name, uid, resourceVersion = '' } = pod.metadata;
  const query = new URLSearchParams({
    ...{ watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: String(watchSeconds) },
    ...{ fieldSelector: `metadata.name=${name}`, resourceVersion },
  });
  const limit = AbortSignal.timeout(deadAfterMilliseconds);
  const both = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  let answer: Pod | undefined | 'ended' = 'ended';
  let isDone = false;
  const lines = linesOf((line) => {
    if (isDone || line === '') return;
    const { type, object } = JSON.parse(line) as WatchEvent;
    if (object.metadata?.uid !== uid) return;
    if (type === 'DELETED') [answer, isDone] = [undefined, true];
    else if ((type === 'ADDED' || type === 'MODIFIED') && look(object)) [answer, isDone] = [object, true];
  });
  try {
    const response = await client.open({ method: 'GET', path: `${podPath(client)}?${query}`, signal: both });
    for await (const chunk of response) {
      lines.write(chunk as Buffer);
      if (isDone) break;
    }
  } catch (error) {
    // 410: the version is too old. Whatever else it was, reading the Pod says whether the API is there.
    if (error instanceof KubernetesRefusal && error.status === 403) throw error;
  }
  return answer;
}

/** Reads the output of a handler's container, which is there until the Pod is deleted, as long as its node lives. */
import { setTimeout as delay } from 'node:timers/promises';
import type { HandlerLog } from '../launchers/launcher.ts';
import { Tail } from '../launchers/tail.ts';
import { ApiError } from './api-errors.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { handlerContainer, type Pod, timeOf } from './pod.ts';

/** In the place of a log that went with its Pod before anybody read it. */
export const goneLog: HandlerLog = {
  output: '[The log is not known: its Pod was gone before it was read.]\n',
  totalBytes: 0,
};

const mostTries = 5;
const firstRestMilliseconds = 250;

const pathOf = ({ metadata: { namespace, name } }: Pod): string => `/api/v1/namespaces/${namespace}/pods/${name}/log`;

/** What a kubelet answers instead of the log of a container that it removed, as it does once its Pod is deleted. */
const removedLog = /^unable to retrieve container logs for [a-z]+:\/\/[0-9a-f]+$/;
const unread = (why: string): HandlerLog => ({ output: `[The log could not be read: ${why}]\n`, totalBytes: 0 });

/** How a log is read. */
export interface LogReading {
  /** The last ones. */
  readonly keepBytes: number;
  /** How long its node may be silent in all, before the log counts as lost. */
  readonly patienceMilliseconds: number;
  readonly signal: AbortSignal;
}

/** The last bytes. What cannot be read after some tries is said in its place, for it is never just empty. */
export async function readPodLog(api: KubernetesApi, pod: Pod, reading: LogReading): Promise<HandlerLog> {
  const { signal } = reading;
  const until = performance.now() + reading.patienceMilliseconds;
  for (let tries = 1; ; tries += 1) {
    try {
      const log = await readOnce(api, pod, reading, until);
      return removedLog.test(log.output) ? unread(log.output) : log;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ApiError)) throw error;
      const rest = firstRestMilliseconds * 2 ** tries;
      if (error.status === 404 || tries === mostTries || performance.now() + rest > until) return unread(error.message);
      await delay(rest, undefined, { signal });
    }
  }
}

async function readOnce(
  api: KubernetesApi,
  pod: Pod,
  { keepBytes, patienceMilliseconds, signal }: LogReading,
  until: number,
): Promise<HandlerLog> {
  const silence = new AbortController();
  const giveUp = () => silence.abort(new ApiError(0, `Its node was silent for ${patienceMilliseconds / 1_000} s.`));
  let timer = setTimeout(giveUp, Math.max(0, until - performance.now()));
  try {
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, patienceMilliseconds);
    };
    const query = { container: handlerContainer };
    const bytes = api.stream({ path: pathOf(pod), query, signal: AbortSignal.any([signal, silence.signal]) });
    return await lastOf(bytes, keepBytes, heard);
  } finally {
    clearTimeout(timer);
  }
}

async function lastOf(chunks: AsyncIterable<Uint8Array>, keepBytes: number, heard: () => void): Promise<HandlerLog> {
  const tail = new Tail(keepBytes);
  for await (const chunk of chunks) {
    heard();
    tail.add(chunk);
  }
  return { output: tail.text(), totalBytes: tail.totalBytes };
}

/**
 * When it wrote its last line, in epoch milliseconds; 0: it wrote none. While nobody can tell, as when its node does
 * not answer, it is now: what nobody could hear is no silence.
 */
export async function lastLineTime(api: KubernetesApi, pod: Pod, signal: AbortSignal): Promise<number> {
  const query = { container: handlerContainer, tailLines: 1, timestamps: true, limitBytes: 64 };
  let text = '';
  try {
    for await (const chunk of api.stream({ path: pathOf(pod), query, signal })) text += Buffer.from(chunk).toString();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ApiError) || error.status !== 404) return api.now();
  }
  return timeOf(text.split(' ')[0]) ?? 0;
}

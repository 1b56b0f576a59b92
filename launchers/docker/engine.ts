/**
 * What the launcher asks of a Docker-compatible engine (Docker, Podman), and its answers as plain data. Every call
 * resolves, or rejects with one of two errors: the engine did not answer, or it refused.
 */
import { Agent, type IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';
import Docker from 'dockerode';
import { errorCode } from '../run-directory/system-errors.ts';

/** The engine did not answer: it is away, or is just being started again. */
export class EngineAway extends Error {
  constructor(cause: Error) {
    super(`The container engine does not answer: ${cause.message}`, { cause });
    this.name = 'EngineAway';
  }
}

/** The engine answered that it does not do what was asked. */
export class EngineRefused extends Error {
  /** HTTP status; Podman answers 500 to most of what Docker tells apart. */
  readonly status: number | undefined;
  constructor(status: number | undefined, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EngineRefused';
    this.status = status;
  }

  /** There is no such container, or no such image. */
  get isUnknown(): boolean {
    return this.status === 404;
  }

  /** A container has this name already. */
  get isNameTaken(): boolean {
    return this.status === 409 || /already in use/.test(this.message);
  }

  /** Another try may succeed: it is the host that has no room now. */
  get isPassing(): boolean {
    return passing.test(this.message);
  }
}

const passing = new RegExp(
  [
    ...['no space left', 'disk quota', 'cannot allocate memory', 'resource temporarily unavailable'],
    ...['too many open files', 'timed? ?out', 'deadline exceeded', 'database is locked', 'context canceled'],
  ].join('|'),
  'i',
);

/** What the launcher needs to know of an engine. */
export interface EngineFacts {
  /** An id that stays; undefined where the engine makes up another for each question, as Podman does. */
  readonly id?: string;
  /** Where it keeps its containers. */
  readonly storage: string;
  readonly hasInit: boolean;
}

/** A container as the engine tells it. Times are epoch milliseconds, by the engine's clock. */
export interface ContainerFacts {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'created' | 'running' | 'ended';
  readonly createdTime: number;
  readonly startedTime?: number;
  readonly endedTime?: number;
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
}

/** A container in a list. */
export type ListedContainer = Pick<ContainerFacts, 'id' | 'labels' | 'state'> & {
  readonly name: string;
  readonly createdTime: number;
};

/** What is read of a container's output. */
export interface LogQuestion {
  /** Number of last lines; absent: all that the engine still has. */
  readonly tail?: number;
  readonly timestamps?: boolean;
  /** Epoch milliseconds; whole seconds count. */
  readonly since?: number;
}

/** A Docker-compatible engine behind its socket. */
export class Engine {
  readonly socket: string;
  readonly #docker: Docker;

  constructor(socket: string) {
    this.socket = socket;
    this.#docker = new Docker({ socketPath: socket });
    // A kept connection may be closed by the engine in the very moment of the next request.
    Object.assign(this.#docker.modem, { agent: new Agent({ keepAlive: false }) });
  }

  async facts(): Promise<EngineFacts> {
    const [first, second] = await ask(() => Promise.all([this.#docker.info(), this.#docker.info()]));
    const { ID: id, DockerRootDir, InitBinary } = first as Record<string, unknown>;
    return {
      ...(typeof id === 'string' && id !== '' && id === second.ID && { id }),
      storage: String(DockerRootDir ?? ''),
      hasInit: typeof InitBinary === 'string' && InitBinary !== '',
    };
  }

  /** Undefined when there is none of this name or id. */
  async inspect(container: string): Promise<ContainerFacts | undefined> {
    const found = await unlessUnknown(() => this.#docker.getContainer(container).inspect());
    if (found === undefined) return undefined;
    const { State: state } = found;
    const startedTime = timeOf(state.StartedAt);
    const endedTime = timeOf(state.FinishedAt);
    return {
      id: found.Id,
      labels: found.Config.Labels ?? {},
      state: stateOf(state.Status),
      createdTime: timeOf(found.Created) ?? 0,
      ...(startedTime !== undefined && { startedTime }),
      ...(endedTime !== undefined && { endedTime }),
      exitCode: state.ExitCode,
      isOutOfMemory: state.OOMKilled,
    };
  }

  /** All containers that have each of the labels, written `name` or `name=value`. */
  async list(labels: readonly string[]): Promise<readonly ListedContainer[]> {
    const found = await ask(() => this.#docker.listContainers({ all: true, filters: { label: [...labels] } }));
    return found.map((each) => ({
      id: each.Id,
      name: (each.Names[0] ?? '').replace(/^\//, ''),
      labels: each.Labels ?? {},
      state: stateOf(each.State),
      createdTime: each.Created * 1_000,
    }));
  }

  /** The id of the new container. */
  async create({ name, ...body }: Docker.ContainerCreateOptions): Promise<string> {
    // Left to itself the client library puts all of it into the address as well, where an engine takes less than the
    // variables of a container may have, and writes it to its log.
    const apart: object = { _query: name === undefined ? {} : { name }, _body: body };
    return (await ask(() => this.#docker.createContainer(apart as Docker.ContainerCreateOptions))).id;
  }

  /** By id only: a name may be another container's by now. */
  async start(id: string): Promise<void> {
    await ask(() => this.#docker.getContainer(id).start());
  }

  /** Nothing happens to one that does not run. */
  async signal(id: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    try {
      await unlessUnknown(() => this.#docker.getContainer(id).kill({ signal }));
    } catch (error) {
      if (!(error instanceof EngineRefused) || (await this.inspect(id))?.state === 'running') throw error;
    }
  }

  /** Removes one that does not run; false when it runs. */
  async remove(id: string): Promise<boolean> {
    try {
      await unlessUnknown(() => this.#docker.getContainer(id).remove({ v: true }));
      return true;
    } catch (error) {
      if (!(error instanceof EngineRefused)) throw error;
      const found = await this.inspect(id);
      if (found === undefined) return true;
      if (found.state === 'running') return false;
      throw error;
    }
  }

  /** Whether the container, started or not, has something at this path. */
  async hasFile(id: string, path: string): Promise<boolean> {
    return (await unlessUnknown(() => this.#docker.getContainer(id).infoArchive({ path }))) !== undefined;
  }

  async rename(id: string, name: string): Promise<void> {
    await unlessUnknown(() => this.#docker.getContainer(id).rename({ name }));
  }

  /**
   * Resolves when the container does not run any more, or the engine cannot say: look at it then. False when the engine
   * went away from it.
   */
  async wait(id: string, signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#dial('POST', `/containers/${id}/wait`, signal);
      answer.resume();
      await finished(answer);
      return true;
    } catch (error) {
      return signal.aborted || !(fromEngine(error) instanceof EngineAway);
    }
  }

  /** The output as the engine frames it: see `demultiplex`. */
  async log(id: string, { tail, timestamps = false, since }: LogQuestion): Promise<IncomingMessage> {
    const query = new URLSearchParams({
      ...{ stdout: '1', stderr: '1', timestamps: timestamps ? '1' : '0' },
      ...(tail !== undefined && { tail: String(tail) }),
      ...(since !== undefined && { since: String(Math.floor(since / 1_000)) }),
    });
    return ask(() => this.#dial('GET', `/containers/${id}/logs?${query}`));
  }

  async hasImage(image: string): Promise<boolean> {
    return (await unlessUnknown(() => this.#docker.getImage(image).inspect())) !== undefined;
  }

  /** `tell` hears the registry's words on the way. @throws EngineRefused with the registry's words */
  async pull(image: string, tell: (words: string) => void): Promise<void> {
    const stream = await ask(() => this.#docker.pull(withTag(image)));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let fault: string | undefined;
    // Without an end: the engine went away.
    stream.once('close', () => reject(new EngineAway(new Error('the connection broke during a pull'))));
    this.#docker.modem.followProgress(
      stream,
      (error) => {
        if (error !== null) reject(fromEngine(error));
        else if (fault !== undefined) reject(new EngineRefused(undefined, fault));
        else resolve();
      },
      (event: { status?: string; id?: string; progress?: string; error?: string }) => {
        fault = event.error ?? fault;
        const words = [event.id, event.status, event.progress].filter(Boolean).join(' ');
        if (words !== '') tell(words);
      },
    );
    return promise;
  }

  /**
   * The answer as soon as its head is there. The client library has no answer for a connection that breaks within the
   * body, which is how an engine goes away from those who wait.
   */
  #dial(method: 'GET' | 'POST', path: string, abortSignal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      this.#docker.modem.dial(
        {
          path,
          method,
          isStream: true,
          statusCodes: { 200: true, 404: 'not found', 500: 'server error' },
          ...(abortSignal !== undefined && { abortSignal }),
        },
        (error, answer) => (error === null ? resolve(answer as IncomingMessage) : reject(error)),
      );
    });
  }
}

/** True for an engine that is away; anything else is thrown on. */
export function isAway(error: unknown): error is EngineAway {
  if (error instanceof EngineAway) return true;
  throw error;
}

const awayCodes = ['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED'];

/** One of the two errors of this file, or the error itself when neither fits. */
export function fromEngine(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (awayCodes.includes(errorCode(error) ?? '')) return new EngineAway(error);
  const { statusCode, json } = error as Error & { statusCode?: number; json?: unknown };
  if (statusCode === undefined) return error;
  const words = typeof json === 'object' && json !== null && 'message' in json ? String(json.message) : error.message;
  return new EngineRefused(statusCode, words.trim(), { cause: error });
}

async function ask<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    throw fromEngine(error);
  }
}

async function unlessUnknown<T>(question: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask(question);
  } catch (error) {
    if (error instanceof EngineRefused && error.isUnknown) return undefined;
    throw error;
  }
}

/** Docker's and Podman's words. What is on its way up or down counts as running: it is waited for. */
function stateOf(words: string): ContainerFacts['state'] {
  if (words === 'created' || words === 'configured' || words === 'initialized') return 'created';
  return words === 'exited' || words === 'dead' || words === 'removing' ? 'ended' : 'running';
}

/** Undefined for the year 1, which says: not yet. */
function timeOf(text: string): number | undefined {
  const time = Date.parse(text);
  return time > 0 ? time : undefined;
}

/** Without a tag an engine would pull all there are. */
function withTag(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1);
  return last.includes(':') || last.includes('@') ? image : `${image}:latest`;
}

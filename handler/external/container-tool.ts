/** A tool as a container of a Docker-compatible engine. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { fail, HandlerFailure } from '../handler-failure.ts';
import { retry } from '../retry.ts';
import type { JsonObject } from '../types.ts';
import { DockerClient, DockerRefusal } from './docker-client.ts';
import { type ExternalTool, factsOf, nameOf, type ToolExit, type ToolRun, toolDefaults } from './external-tool.ts';
import { linesOf } from './lines.ts';
import { numberOf } from './quantity.ts';

/** How long the last lines of one that was stopped are waited for. */
const lastLinesMilliseconds = 2_000;

/** Runs it to its end; the container is gone then. */
export async function runContainer(run: ToolRun): Promise<ToolExit> {
  const { tool, fields, signal } = run;
  if (tool.image === undefined) fail(`${nameOf(tool)} has no image to run as a container.`, { code: 'externalFailed' });
  const client = new DockerClient(fields);
  const name = `pop-tool-${randomUUID().slice(0, 13)}`;
  const limit = AbortSignal.timeout((tool.scheduledSeconds ?? toolDefaults.scheduledSeconds) * 1_000);
  const starting = AbortSignal.any([signal, limit]);
  try {
    await create(client, name, run, starting);
    await client.request('POST', `/containers/${name}/start`, undefined, starting);
  } catch (error) {
    await remove(client, name);
    signal.throwIfAborted();
    if (error instanceof HandlerFailure) throw notStarted(tool, error.message, error);
    throw limit.aborted ? notStarted(tool, 'its time to start was over', error) : error;
  }
  run.started();
  try {
    return await follow(client, name, run);
  } finally {
    await remove(client, name);
  }
}

async function create(client: DockerClient, name: string, run: ToolRun, signal: AbortSignal): Promise<void> {
  const path = `/containers/create?name=${name}`;
  const body = containerOf(run);
  try {
    await client.request('POST', path, body, signal);
  } catch (error) {
    if (!(error instanceof DockerRefusal && error.status === 404)) throw error;
    run.waiting(`Pulling ${run.tool.image}`);
    await pull(client, run.tool.image ?? '', signal);
    await client.request('POST', path, body, signal);
  }
}

/** The answer to a pull is 200 even when it fails: the last line of its stream says so. */
async function pull(client: DockerClient, image: string, signal: AbortSignal): Promise<void> {
  const hasVersion = image.includes('@') || /:[^/]+$/.test(image);
  const query = new URLSearchParams({ fromImage: image, ...(!hasVersion && { tag: 'latest' }) });
  const response = await client.open('POST', `/images/create?${query}`, undefined, signal);
  const lines = linesOf((line) => {
    if (line.trim() === '') return;
    const { error } = JSON.parse(line) as { error?: string };
    if (error !== undefined) fail(`The image ${image} cannot be pulled: ${error}`, { code: 'externalNotStarted' });
  });
  for await (const chunk of response) lines.write(chunk as Buffer);
  lines.end();
}

/** As locked up as a handler's: no capability, no network unless asked for, its own root read-only. */
function containerOf({ tool, operation }: ToolRun): JsonObject {
  const { image = '', command, args, env = {}, workingDirectory, resources = {}, docker = {} } = tool;
  const user = docker.user ?? (process.getuid === undefined ? undefined : `${process.getuid()}:${process.getgid?.()}`);
  return {
    Image: image,
    ...(command !== undefined && { Entrypoint: command }),
    ...(args !== undefined && { Cmd: args }),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(workingDirectory !== undefined && { WorkingDir: workingDirectory }),
    ...(user !== undefined && { User: user }),
    Labels: { 'pop.tool.agenda': operation.agendaId, 'pop.tool.operation': operation.operationName },
    HostConfig: {
      NetworkMode: docker.network ?? 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': 'rw,mode=1777' },
      ...(docker.binds !== undefined && { Binds: docker.binds }),
      ...(resources.memory !== undefined && { Memory: Math.round(numberOf(resources.memory)) }),
      ...(resources.cpu !== undefined && { NanoCpus: Math.round(numberOf(resources.cpu) * 1e9) }),
    },
  };
}

async function follow(client: DockerClient, name: string, { tool, signal, line }: ToolRun): Promise<ToolExit> {
  const log = new ContainerLog(client, name, line);
  const following = log.read(true).then(
    () => true,
    () => false,
  );
  const grace = tool.graceSeconds ?? toolDefaults.graceSeconds;
  const stop = (): void => void client.request('POST', `/containers/${name}/stop?t=${grace}`).catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) stop();
    const { StatusCode: exitCode } = await client.request('POST', `/containers/${name}/wait`);
    if (signal.aborted) {
      await Promise.race([following, delay(lastLinesMilliseconds, undefined, { ref: false })]);
      throw signal.reason;
    }
    if (!(await following)) await retry(() => log.read(false), { signal });
    const { State: state } = (await client.request('GET', `/containers/${name}/json`)) as {
      State?: { OOMKilled?: boolean; Error?: string };
    };
    const message = state?.Error || undefined;
    return { exitCode: Number(exitCode), reason: state?.OOMKilled ? 'OOMKilled' : undefined, message };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * The log of one container. A reading begins at its start and skips what an earlier one handed on, counted for each
 * stream. Times would be of no help: engines put them into the middle of long lines.
 */
class ContainerLog {
  readonly #client: DockerClient;
  readonly #name: string;
  readonly #line: (line: string) => void;
  readonly #handedOn = [0, 0];

  constructor(client: DockerClient, name: string, line: (line: string) => void) {
    this.#client = client;
    this.#name = name;
    this.#line = line;
  }

  /** Until the container ends, or what there is. @throws when the stream breaks off */
  async read(isFollowing: boolean): Promise<void> {
    const path = `/containers/${this.#name}/logs?stdout=1&stderr=1&follow=${Number(isFollowing)}`;
    const streams = [0, 1].map((stream) => {
      let count = 0;
      return linesOf((line) => {
        count += 1;
        if (count <= (this.#handedOn[stream] ?? 0)) return;
        this.#handedOn[stream] = count;
        this.#line(line);
      });
    });
    await readFrames(await this.#client.open('GET', path), (stream, chunk) =>
      streams[stream === 2 ? 1 : 0]?.write(chunk),
    );
    for (const stream of streams) stream.end();
  }
}

/** Docker's frames: a byte for the stream, three of nothing, four for the length, and the bytes. */
async function readFrames(response: IncomingMessage, take: (stream: number, chunk: Buffer) => void): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of response) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(4)) {
      const end = 8 + rest.readUInt32BE(4);
      take(rest[0] ?? 1, rest.subarray(8, end));
      rest = rest.subarray(end);
    }
  }
}

async function remove(client: DockerClient, name: string): Promise<void> {
  try {
    await client.request('DELETE', `/containers/${name}?force=true&v=true`);
  } catch (error) {
    if (error instanceof DockerRefusal && error.status === 404) return;
    console.error(`The container ${name} of a tool could not be removed: ${String(error)}`);
  }
}

function notStarted(tool: ExternalTool, reason: string, cause: unknown): HandlerFailure {
  return new HandlerFailure(`${nameOf(tool)} did not start: ${reason}`, {
    code: 'externalNotStarted',
    payload: { ...factsOf(tool), reason },
    cause,
  });
}

/**
 * Runs handlers as containers of a Docker-compatible engine on this host. The engine holds the containers, labelled
 * with their fence, and the run directories hold the rest, so a worker may die at any point: the next one on the host
 * adopts the same container.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fenceOf } from '../../messages/resource-pool.ts';
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
} from '../launcher.ts';
import { type RefusedRecord, recordNames } from '../run-directory/records.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { runDirectories } from '../run-directory/run-directories.ts';
import { Watcher } from '../run-directory/watcher.ts';
import { containerOptions } from './container-options.ts';
import { type DockerRun, dockerRunOf } from './docker-run.ts';
import { type ContainerFacts, Engine, type ListedContainer } from './engine.ts';
import { placeOfEngine } from './engine-place.ts';
import { FollowedContainer, type FollowParts } from './follow-container.ts';
import { Images } from './images.ts';
import { fenceOfLabels, labelsOfOperation, placeLabel } from './labels.ts';
import { launchContainer } from './launch-container.ts';
import { patiently } from './patience.ts';
import {
  prepare,
  readStop,
  removeDirectory,
  renewToken,
  type StartedRecord,
  type WantedRecord,
} from './run-directory.ts';
import { stopContainer } from './stop-container.ts';

/** Options of the launcher of one engine. */
export interface DockerLauncherOptions {
  /** The engine's socket on this host, such as `/var/run/docker.sock`. */
  readonly socket: string;
  /** Holds a directory per run, under the same path as the engine's; made when missing. */
  readonly root: string;
}

/** Ends the name of a container that is kept to be looked at, and is no run any more. */
const keptSuffix = '-kept';
/** How long it is kept. */
const keptMilliseconds = 24 * 3_600_000;

/** Runs handlers as containers of one engine of this host. */
export class DockerLauncher implements Launcher {
  readonly place: string;
  readonly survivesWorker = true;
  readonly #root: string;
  readonly #engine: Engine;
  readonly #parts: FollowParts;

  private constructor(engine: Engine, root: string, place: string, hasInit: boolean) {
    this.place = place;
    this.#root = root;
    this.#engine = engine;
    this.#parts = { engine, place, hasInit, images: new Images(engine), watcher: new Watcher() };
  }

  /** Asks the engine which one it is. @throws EngineAway when it does not answer */
  static async connect({ socket, root }: DockerLauncherOptions): Promise<DockerLauncher> {
    const engine = new Engine(socket);
    const facts = await engine.facts();
    mkdirSync(resolve(root), { recursive: true, mode: 0o700 });
    const folder = realpathSync(root);
    return new DockerLauncher(engine, folder, placeOfEngine(facts, folder), facts.hasInit);
  }

  async start(given: HandlerRun): Promise<RunHandle> {
    const run = dockerRunOf(given);
    const { key } = run;
    const directory = this.#directory(key);
    const container = await this.#engine.inspect(key);
    if (container !== undefined) {
      this.#claim(container, run);
      renewToken(run, directory);
      return { key, adopted: true };
    }
    // What can never be launched leaves nothing behind.
    containerOptions(run, directory, this.#parts);
    const isNew = prepare(run, directory);
    if (!isNew) renewToken(run, directory);
    const refused = readRecord<RefusedRecord>(directory, recordNames.refused);
    if (refused !== undefined) throw new LaunchError(refused.code, refused.message);
    if (isStanding(directory) || !(await this.#hasImage(run))) return { key, adopted: !isNew };
    try {
      return { key, adopted: !(await launchContainer(this.#parts, run, directory)) };
    } catch (error) {
      if (error instanceof LaunchError) removeDirectory(directory);
      throw error;
    }
  }

  async follow(given: HandlerRun, events: FollowEvents, signal: AbortSignal): Promise<Ending> {
    signal.throwIfAborted();
    const run = dockerRunOf(given);
    const directory = this.#directory(run.key);
    const container = await patiently(() => this.#engine.inspect(run.key), signal);
    if (container !== undefined) this.#claim(container, run);
    return new FollowedContainer(this.#parts, run, directory, events, signal).untilEnded();
  }

  async stop(key: string, graceSeconds: number): Promise<void> {
    const directory = this.#directory(key);
    const container = await this.#engine.inspect(key);
    if (container !== undefined && !this.#isOurs(container)) return;
    await stopContainer(this.#engine, key, directory, { reason: 'cancelled', graceSeconds });
  }

  async forget(key: string): Promise<void> {
    const directory = this.#directory(key);
    const container = await this.#engine.inspect(key);
    if (container !== undefined && this.#isOurs(container)) {
      const wanted = readRecord<WantedRecord>(directory, recordNames.run);
      if (container.state === 'running') throw new Error(`${key} still runs; it is not forgotten.`);
      if (wanted?.keeps && container.state === 'ended') await this.#engine.rename(container.id, `${key}${keptSuffix}`);
      else if (!(await this.#engine.remove(container.id)))
        throw new Error(`${key} has just begun to run; it is not forgotten.`);
    }
    removeDirectory(directory);
  }

  async list(): Promise<readonly KnownRun[]> {
    return this.#known([], () => true);
  }

  async find(operation: OperationOfRun): Promise<readonly KnownRun[]> {
    return this.#known(labelsOfOperation(operation), (run) => isOf(run, operation));
  }

  /** Runs with a container, and those that are waiting for one or whose container was removed. */
  async #known(labels: readonly string[], isWanted: (run: WantedRecord) => boolean): Promise<readonly KnownRun[]> {
    const containers = await this.#engine.list([`${placeLabel}=${this.place}`, ...labels]);
    const runs = containers.flatMap((container) => {
      const fence = fenceOfLabels(container.labels);
      if (fence === undefined || isKept(container)) return [];
      return [{ key: container.name, ...fence, alive: container.state !== 'ended' }];
    });
    await this.#removeOld(containers);
    const present = new Set(runs.map(({ key }) => key));
    const absent = runDirectories(this.#root).flatMap((directory) => {
      const wanted = readRecord<WantedRecord>(directory, recordNames.run);
      if (wanted === undefined || present.has(wanted.key) || !isWanted(wanted)) return [];
      const isOver = isStanding(directory) || readRecord(directory, recordNames.refused) !== undefined;
      return [{ key: wanted.key, ...fenceOf(wanted), alive: !isOver }];
    });
    return [...runs, ...absent];
  }

  /** Those that were kept for long enough. */
  async #removeOld(containers: readonly ListedContainer[]): Promise<void> {
    for (const container of containers) {
      if (isKept(container) && container.createdTime < Date.now() - keptMilliseconds)
        await this.#engine.remove(container.id);
    }
  }

  async #hasImage({ settings: { image, pullAlways } }: DockerRun): Promise<boolean> {
    return !pullAlways && (await this.#engine.hasImage(image));
  }

  #directory(key: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(key))
      throw new LaunchError('invalidKey', `"${key}" cannot be the name of a container.`);
    return join(this.#root, key);
  }

  #isOurs({ labels }: ContainerFacts): boolean {
    return labels[placeLabel] === this.place;
  }

  /** @throws LaunchError `nameTaken` when the container is not this run's */
  #claim(container: ContainerFacts, run: DockerRun): void {
    const found = this.#isOurs(container) ? fenceOfLabels(container.labels) : undefined;
    const isSame = found !== undefined && JSON.stringify(fenceOf(found)) === JSON.stringify(fenceOf(run));
    if (isSame && container.labels['pop.type'] === run.type) return;
    const whose = found === undefined ? 'something else' : JSON.stringify(found);
    const message = `There is a container with the name ${run.key} already; it belongs to ${whose}.`;
    throw new LaunchError('nameTaken', message);
  }
}

const isKept = ({ name }: ListedContainer): boolean => name.endsWith(keptSuffix);

/** True when nobody needs to start the run: it was started before, or must not begin. */
function isStanding(directory: string): boolean {
  return readStop(directory) !== undefined || readRecord<StartedRecord>(directory, recordNames.started) !== undefined;
}

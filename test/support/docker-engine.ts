/**
 * A real Docker-compatible engine for tests: the developer's own where `DOCKER_HOST` names its socket, else a Podman
 * with storage of its own in a temporary folder, which ends with the test's process. On Debian, root gets Podman
 * installed when it is missing. Where none can be had its tests are skipped, aloud; they fail instead with
 * `POP_REQUIRE_DOCKER=1`.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';

/** An engine that answers. */
export interface TestEngine extends AsyncDisposable {
  readonly socket: string;
  readonly docker: Docker;
  /** A small image with a shell and its tools, known to the engine. */
  readonly image: string;
  /** Ends the engine's process, not its containers; undefined where it is not ours to end. */
  readonly kill: (() => Promise<void>) | undefined;
  /** Starts it again. */
  readonly revive: (() => Promise<void>) | undefined;
}

/** Why there is no engine here. */
class NoEngine extends Error {}

const importedImage = 'pop-test-tools:1';
const pulledImage = 'docker.io/library/busybox:1.36';

/** Undefined, and said so, where none can be had. */
export async function testEngine(): Promise<TestEngine | undefined> {
  try {
    const given = givenSocket();
    return given === undefined ? await ownPodman() : await givenEngine(given);
  } catch (error) {
    if (!(error instanceof NoEngine) || process.env.POP_REQUIRE_DOCKER === '1') throw error;
    console.warn(`SKIPPED: no container engine for tests: ${error.message}`);
    return undefined;
  }
}

function givenSocket(): string | undefined {
  const host = process.env.DOCKER_HOST;
  if (host === undefined || host === '') return undefined;
  if (!host.startsWith('unix://')) throw new NoEngine(`DOCKER_HOST is ${host}; only unix:// is possible here.`);
  return host.slice('unix://'.length);
}

async function givenEngine(socket: string): Promise<TestEngine> {
  const docker = new Docker({ socketPath: socket });
  await docker.ping().catch((error: Error) => {
    throw new NoEngine(`the engine of DOCKER_HOST does not answer: ${error.message}`);
  });
  const isHere = await docker
    .getImage(pulledImage)
    .inspect()
    .then(
      () => true,
      () => false,
    );
  if (!isHere) await ended(docker, await docker.pull(pulledImage));
  const nothing = async () => undefined;
  return { socket, docker, image: pulledImage, kill: undefined, revive: undefined, [Symbol.asyncDispose]: nothing };
}

/** Resolves when the engine has done what it tells of in the stream. */
function ended(docker: Docker, stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    let fault: string | undefined;
    docker.modem.followProgress(
      stream,
      (error) => (error === null && fault === undefined ? resolve() : reject(error ?? new Error(fault))),
      (event: { error?: string }) => {
        fault = event.error ?? fault;
      },
    );
  });
}

const packages = ['podman', 'runc', 'busybox-static'];

function provide(): void {
  const missing = ['podman', 'runc', 'busybox'].filter((program) => !isInPath(program));
  if (process.platform !== 'linux') throw new NoEngine('Podman needs Linux; name a Docker by DOCKER_HOST=unix://…');
  if (process.getuid?.() !== 0) throw new NoEngine('Podman is started as root only; name a Docker by DOCKER_HOST.');
  if (missing.length === 0) return;
  if (!existsSync('/etc/debian_version')) throw new NoEngine(`missing here: ${missing.join(', ')}`);
  console.log(`installing ${packages.join(', ')} by apt, for ${missing.join(', ')} cannot be found`);
  const apt = (...parameters: string[]) => {
    const { status, stderr } = spawnSync('apt-get', ['-qq', ...parameters], {
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (status !== 0) throw new NoEngine(`apt-get ${parameters.join(' ')} failed: ${stderr}`);
  };
  apt('update');
  apt('install', '--yes', '--no-install-recommends', ...packages);
}

function isInPath(program: string): boolean {
  return spawnSync('/bin/sh', ['-c', `command -v ${program}`]).status === 0;
}

async function ownPodman(): Promise<TestEngine> {
  provide();
  const folder = mkdtempSync(join(tmpdir(), 'pop-engine-'));
  const socket = join(folder, 'docker.sock');
  const environment = configured(folder);
  const docker = new Docker({ socketPath: socket });
  let service: ChildProcess | undefined;
  const kill = async () => {
    const running = service;
    service = undefined;
    if (running === undefined) return;
    const exited = once(running, 'exit');
    running.stdin?.end('keep\n');
    await exited;
  };
  const revive = async () => {
    service = await started(socket, docker, environment);
  };
  await revive();
  execFileSync('podman', ['import', toolsImage(folder), importedImage], { env: environment, stdio: 'pipe' });
  return {
    ...{ socket, docker, image: importedImage, kill, revive },
    async [Symbol.asyncDispose]() {
      if (service === undefined) await revive();
      for (const { Id } of await docker.listContainers({ all: true }))
        await docker.getContainer(Id).remove({ force: true });
      await kill();
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

/** Files that keep this Podman apart from the machine's own, and fit for a machine that is a container itself. */
function configured(folder: string): NodeJS.ProcessEnv {
  const containers = join(folder, 'containers.conf');
  const storage = join(folder, 'storage.conf');
  const registries = join(folder, 'registries.conf');
  mkdirSync(join(folder, 'tmp'));
  writeFileSync(
    containers,
    [
      '[containers]',
      'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]',
      '[engine]',
      'runtime = "runc"',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      'lock_type = "file"',
      `tmp_dir = "${folder}/tmp"`,
    ].join('\n'),
  );
  writeFileSync(storage, `[storage]\ndriver = "vfs"\nrunroot = "${folder}/run"\ngraphroot = "${folder}/storage"\n`);
  writeFileSync(
    registries,
    'unqualified-search-registries = []\n[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n',
  );
  return {
    ...process.env,
    CONTAINERS_CONF: containers,
    CONTAINERS_STORAGE_CONF: storage,
    CONTAINERS_REGISTRIES_CONF: registries,
  };
}

/**
 * Ends Podman when it is told so or when nobody is there to tell, as after the test's process was killed; then the
 * containers, too, which do not end with their engine.
 */
const guard =
  'podman system service --time 0 "unix://$1" & read -r word; kill -9 $!; wait; ' +
  '[ "$word" = keep ] || { podman rm --all --force --time 0 > /dev/null; rm -rf "$2"; }';
const mostStartMilliseconds = 60_000;

async function started(socket: string, docker: Docker, environment: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const service = spawn('/bin/sh', ['-c', guard, 'sh', socket, dirname(socket)], {
    env: environment,
    // Podman's monitor of containers leaves an empty file `oom` in its folder when memory is short.
    cwd: dirname(socket),
    stdio: ['pipe', 'ignore', 'pipe'],
    // A signal to the group of the tests must not come before the guard's own work.
    detached: true,
  });
  let words = '';
  service.stderr?.on('data', (chunk: Buffer) => {
    words += chunk.toString();
  });
  const giveUp = Date.now() + mostStartMilliseconds;
  for (;;) {
    try {
      await docker.ping();
      return service;
    } catch (error) {
      if (Date.now() > giveUp) throw new Error(`Podman does not answer: ${words}`, { cause: error });
      await delay(20);
    }
  }
}

/** A root file system of busybox alone, as a tar. */
function toolsImage(folder: string): string {
  const root = join(folder, 'tools');
  for (const each of ['bin', 'etc', 'tmp']) mkdirSync(join(root, each), { recursive: true });
  const busybox = execFileSync('/bin/sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  copyFileSync(busybox, join(root, 'bin', 'busybox'));
  for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0::/:/bin/sh\nsomebody:x:1234:1234::/:/bin/sh\n');
  writeFileSync(join(root, 'etc', 'group'), 'root:x:0:\nsomebody:x:1234:\n');
  const tar = join(folder, 'tools.tar');
  execFileSync('tar', ['-C', root, '-cf', tar, '.']);
  return tar;
}

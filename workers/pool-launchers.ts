/** The launchers of a pool worker: those that its host and its settings allow. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { DockerLauncher } from '../launchers/docker/docker-launcher.ts';
import { InProcessLauncher } from '../launchers/in-process/in-process-launcher.ts';
import type { Launchers } from '../launchers/launcher.ts';
import { LocalLauncher } from '../launchers/local/local-launcher.ts';
import type { LaunchKind } from '../launchers/registry.ts';
import { SettingError } from '../process/environment.ts';

const usualSocket = '/var/run/docker.sock';
/** Inside of the run directory, with a name that no run of a process has. */
const containerFolder = '.containers';
/** An engine that is started together with the worker may need a while. */
const enginePatienceMilliseconds = 30_000;

/** What the launchers are made with. */
export interface PoolLaunchersOptions {
  /** Name of the worker's process, which no other process ever has. */
  readonly worker: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/**
 * Functions always; processes where `POP_RUN_DIRECTORY` says where their runs are kept; containers where there is an
 * engine, too: `POP_DOCKER_SOCKET`, or the usual socket when it answers.
 * @throws SettingError when a setting names what is not there
 */
export async function poolLaunchers({ worker, environment, log }: PoolLaunchersOptions): Promise<Launchers> {
  const inProcess = new InProcessLauncher({ worker });
  const directory = environment.POP_RUN_DIRECTORY;
  const socket = environment.POP_DOCKER_SOCKET;
  if (!directory) {
    if (socket) throw new SettingError('the setting POP_DOCKER_SOCKET needs POP_RUN_DIRECTORY, for what runs leave');
    return { inProcess };
  }
  const root = resolve(directory);
  const local = new LocalLauncher({ root });
  const docker = await dockerLauncher(socket, join(root, containerFolder), log);
  return { local, inProcess, ...(docker !== undefined && { docker }) };
}

/** Which types these can launch, for the registry. */
export function kindsOf(launchers: Launchers): readonly LaunchKind[] {
  return Object.keys(launchers) as LaunchKind[];
}

async function dockerLauncher(
  named: string | undefined,
  root: string,
  log: Logger,
): Promise<DockerLauncher | undefined> {
  if (named) return connected(socketOf(named), root, log);
  if (!existsSync(usualSocket)) return undefined;
  try {
    return await DockerLauncher.connect({ socket: usualSocket, root });
  } catch (error) {
    log.info(
      { err: error, socket: usualSocket },
      'this pool worker launches no containers: their engine does not answer',
    );
    return undefined;
  }
}

/** The path of a socket, as Docker's own settings write it or plain. */
function socketOf(named: string): string {
  const path = named.replace(/^unix:\/\//, '');
  if (path.startsWith('/')) return path;
  throw new SettingError(
    `the setting POP_DOCKER_SOCKET must be the path of a socket on this host, such as ${usualSocket}, not ` +
      `"${named}"; an engine on another host cannot be used, for it does not see the run directories`,
  );
}

async function connected(socket: string, root: string, log: Logger): Promise<DockerLauncher> {
  const giveUp = Date.now() + enginePatienceMilliseconds;
  for (let tries = 0; ; tries += 1) {
    try {
      return await DockerLauncher.connect({ socket, root });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (Date.now() > giveUp)
        throw new SettingError(`the engine of POP_DOCKER_SOCKET (${socket}) cannot be used: ${why}`);
      if (tries === 0) log.warn({ err: error, socket }, 'the container engine does not answer yet; trying on');
      await delay(500);
    }
  }
}

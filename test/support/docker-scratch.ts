/** For tests: launchers on a container engine and a folder of its own, that leave no container and no file behind. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerLauncher } from '../../launchers/docker/docker-launcher.ts';
import type { HandlerRun } from '../../launchers/launcher.ts';
import type { TestEngine } from './docker-engine.ts';
import { runOf } from './scratch.ts';

/** A folder for run directories, with two launchers on it: those of two workers of one host. */
export interface DockerScratch extends AsyncDisposable {
  readonly root: string;
  readonly launcher: DockerLauncher;
  readonly other: DockerLauncher;
  /** Files of this folder are at `/gate` in containers. */
  readonly gate: string;
  proceed(): void;
  /** A run of the engine's test image; of a shell's command when there is one. */
  run(command: string | undefined, podConfig?: Record<string, unknown>, run?: Partial<HandlerRun>): HandlerRun;
}

/** Makes it; it and all containers of the engine are gone at the end of its scope. */
export async function dockerScratch(engine: TestEngine): Promise<DockerScratch> {
  const folder = mkdtempSync(join(tmpdir(), 'pop-docker-'));
  const root = join(folder, 'runs');
  const gate = join(folder, 'gate');
  mkdirSync(gate);
  const connect = () => DockerLauncher.connect({ socket: engine.socket, root });
  const [launcher, other] = await Promise.all([connect(), connect()]);
  return {
    ...{ root, gate, launcher, other },
    proceed: () => writeFileSync(join(gate, 'open'), ''),
    run: (command, podConfig = {}, run = {}) =>
      runOf(
        {
          launch: 'docker',
          imageName: engine.image,
          network: 'none',
          mounts: [{ source: gate, target: '/gate' }],
          envVars: { GATE: '/gate/open' },
          ...(command !== undefined && { command: ['/bin/sh', '-c', command] }),
          ...podConfig,
        },
        run,
      ),
    async [Symbol.asyncDispose]() {
      const filters = { label: [`pop.place=${launcher.place}`] };
      for (const { Id } of await engine.docker.listContainers({ all: true, filters }))
        await engine.docker.getContainer(Id).remove({ force: true });
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

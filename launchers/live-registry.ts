import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  type HandlerSettings,
  type LaunchKind,
  launchKinds,
  loadRegistry,
  type Registry,
  RegistryError,
  settingsFor,
} from './registry.ts';

/** What makes a launch possible for a pool worker. */
const neededFor: Readonly<Record<LaunchKind, string>> = {
  local: 'POP_RUN_DIRECTORY',
  inProcess: 'nothing',
  docker: 'POP_RUN_DIRECTORY and a container engine (POP_DOCKER_SOCKET)',
  kubernetes: 'a cluster: POP_KUBECONFIG, or a worker that is a Pod of it',
};

/**
 * A registry that follows its file. An edit counts from the next look on. A broken edit is reported, and the last good
 * registry stays.
 */
export class LiveRegistry {
  readonly path: string;
  #registry: Registry;
  #version: string;
  #error: RegistryError | undefined;
  readonly #report: (error: RegistryError) => void;
  readonly #launches: readonly LaunchKind[];

  /**
   * `launches` are those that the reader can do; a registry that names another is broken for it. `report` hears of each
   * broken edit once.
   * @throws RegistryError when the file is not good at the start.
   */
  constructor(path: string, report: (error: RegistryError) => void, launches: readonly LaunchKind[] = launchKinds) {
    this.path = resolve(path);
    this.#report = report;
    this.#launches = launches;
    this.#version = versionOf(this.path);
    this.#registry = this.#load();
  }

  /** The fault of the file as it is now; undefined when the registry in use is the file's. */
  get error(): RegistryError | undefined {
    return this.#error;
  }

  get current(): Registry {
    const version = versionOf(this.path);
    if (version === this.#version) return this.#registry;
    this.#version = version;
    try {
      this.#registry = this.#load();
      this.#error = undefined;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      this.#error = error;
      this.#report(error);
    }
    return this.#registry;
  }

  settingsFor(type: string): HandlerSettings | undefined {
    return settingsFor(this.current, type);
  }

  #load(): Registry {
    const registry = loadRegistry(this.path);
    const strange = [...registry.types].filter(([, { launch }]) => !this.#launches.includes(launch));
    if (strange.length === 0) return registry;
    const lines = strange.map(
      ([type, { launch }]) => `${this.path} /${type}: "launch": "${launch}" is not possible here`,
    );
    const needed = new Set(strange.map(([, { launch }]) => `"${launch}" needs ${neededFor[launch]}`));
    const rest = [`This pool worker launches: ${this.#launches.join(', ')}`, ...needed];
    throw new RegistryError(`${lines.join('\n')}\n${rest.join('; ')}.`);
  }
}

/** Changes when the file does; a mounted ConfigMap is swapped by a link, so the inode counts too. */
function versionOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'missing' : `${stat.mtimeNs}:${stat.size}:${stat.ino}`;
}

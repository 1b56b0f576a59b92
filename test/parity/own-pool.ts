/** A ResourcePool of a test's own, and pool workers for it: the program of the product, a process each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GuardedProcess } from '../../machine/guarded-process.ts';
import { holdsAfter } from '../../machine/machine-process.ts';
import { done, newId, operator, system, until } from './running-system.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A ResourcePool with at most one pool worker, which ends with it. */
export class OwnPool implements AsyncDisposable {
  readonly id: string;
  readonly #directory: string;
  readonly #key: string;
  #worker: GuardedProcess | undefined;

  private constructor(id: string, directory: string, key: string) {
    this.id = id;
    this.#directory = directory;
    this.#key = key;
  }

  /** Makes the pool; nobody serves it yet. */
  static async make(): Promise<OwnPool> {
    const id = newId('pool');
    await done(operator, 'POST', '/resourcepool', { id, customerId: 'operations', title: id });
    const { key } = await done(operator, 'POST', '/apikey', { scopes: [`pool:${id}`] });
    return new OwnPool(id, await mkdtemp(join(tmpdir(), 'pop-own-pool-')), key);
  }

  /** Starts a pool worker and resolves when it is ready. */
  async startWorker(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const logFile = join(this.#directory, 'pool.log');
    const worker = new GuardedProcess({
      command: [process.execPath, join(root, 'workers/pool.ts')],
      directory: root,
      logFile,
      environment: {
        ...process.env,
        TEMPORAL_ADDRESS: system.temporalAddress,
        POP_URL: system.url,
        POP_API_KEY: this.#key,
        POP_POOL_ID: this.id,
        POP_REGISTRY: fileURLToPath(new URL('registry.json', import.meta.url)),
        POP_RUN_DIRECTORY: join(this.#directory, 'runs'),
        ...settings,
      },
    });
    this.#worker = worker;
    await until(
      'the pool worker is ready',
      async () => (await holdsAfter(logFile, 0, 'pool worker ready')) || undefined,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.stop();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 });
  }
}

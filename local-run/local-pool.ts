/** A pool worker without servers: it asks a record in memory what to run, and launches on this machine. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PoolWorker } from '../activities/pool/parts.ts';
import { RunningOperations } from '../activities/pool/running-operations.ts';
import { InProcessLauncher } from '../launchers/in-process/in-process-launcher.ts';
import { LocalLauncher } from '../launchers/local/local-launcher.ts';
import { stopAll } from '../launchers/local/stop-run.ts';
import type { Registry } from '../launchers/registry.ts';
import { compileCache } from '../process/cache-folder.ts';
import { createLog } from '../process/log.ts';
import type { LocalRecord } from './local-record.ts';
import { type Mocks, mockFunctions, mockSettings } from './mocks.ts';
import { localPoolId } from './new-rows.ts';

/** What a pool worker on this machine is made of. */
export interface LocalPoolOptions {
  readonly record: LocalRecord;
  readonly registry: Registry;
  readonly mocks: Mocks;
}

/** A pool worker with a run directory of its own, which goes with it. */
export class LocalPool implements AsyncDisposable {
  readonly worker: PoolWorker;
  readonly #runDirectory = mkdtempSync(join(tmpdir(), 'pop-run-'));

  constructor({ record, registry, mocks }: LocalPoolOptions) {
    const name = `${localPoolId} ${process.pid}`;
    const types = new Map([...registry.types, ...mockSettings(mocks)]);
    // Whatever is to be told is in the record.
    const log = createLog('local', 'silent');
    this.worker = {
      resourcePoolId: localPoolId,
      name,
      client: record,
      registry: { current: { ...registry, types }, settingsFor: (type) => types.get(type) },
      launchers: {
        local: new LocalLauncher({ root: this.#runDirectory, compileCache }),
        inProcess: new InProcessLauncher({ worker: name, functions: mockFunctions(mocks) }),
      },
      // No handler is told of it: it is given no token to report with.
      url: '',
      running: new RunningOperations({ report: (items) => record.reportProgress(items), worker: name, log }),
      shutdown: new AbortController().signal,
      log,
    };
  }

  /** Ends all handlers at once, for those who cannot wait. */
  async destroy(): Promise<void> {
    await stopAll(this.#runDirectory, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.worker.running.close();
    await stopAll(this.#runDirectory);
    rmSync(this.#runDirectory, { recursive: true, force: true });
  }
}

/** The processes of the baseline, as `bare-worker.ts` describes them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a process of the baseline runs. */
export type BareRole = 'workflows' | 'activities';

/** Ended at the end of their scope. */
export class BareWorkers implements AsyncDisposable {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /** Resolves when all are ready. */
  static async start(temporal: string, roles: readonly BareRole[]): Promise<BareWorkers> {
    const workers = new BareWorkers(
      roles.map((role) =>
        spawn(process.execPath, [join(import.meta.dirname, 'bare-worker.ts'), role], {
          env: { ...process.env, TEMPORAL_ADDRESS: temporal, POP_PARENT: 'watch', LOG_LEVEL: 'warn' },
          stdio: ['pipe', 'pipe', 'inherit'],
        }),
      ),
    );
    try {
      await Promise.all(workers.#children.map(saysReady));
    } catch (error) {
      await workers[Symbol.asyncDispose]();
      throw error;
    }
    return workers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await ended(child);
  }
}

async function saysReady(child: ChildProcess): Promise<void> {
  for await (const chunk of child.stdout ?? []) if (String(chunk).includes('bare worker ready')) return;
  throw new Error('the baseline worker ended before it was ready');
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

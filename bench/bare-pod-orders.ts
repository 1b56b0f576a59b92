/** What the baseline of `bench:pods` is told and answers, and its process as its parent sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** One order. */
export type BareOrder =
  /** Notes from now on when Pods of others are seen to end as well. */
  | { readonly kind: 'watch'; readonly namespace: string; readonly selector: string }
  | { readonly kind: 'fan'; readonly width: number; readonly withSecrets: boolean }
  | { readonly kind: 'seen' };

/** What came of an order. */
export type BareAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'fan'; readonly milliseconds: number }
  /** Epoch milliseconds by the key of the launch. */
  | { readonly kind: 'seen'; readonly times: Readonly<Record<string, number>> }
  | { readonly kind: 'failed'; readonly message: string };

/** The baseline's process; it ends with its parent. */
export class BarePods implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** Rejects when its process ends. */
  readonly #gone: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#gone = once(child, 'exit').then(([code]) => {
      throw new Error(`The baseline's process ended (exit code ${code}).`);
    });
    // Nobody may be listening when it ends.
    this.#gone.catch(() => undefined);
  }

  /** Resolves when it watches. */
  static async start(environment: Readonly<Record<string, string>>): Promise<BarePods> {
    const child = fork(join(import.meta.dirname, 'bare-pods.ts'), { env: { ...process.env, ...environment } });
    const bare = new BarePods(child);
    await bare.#answer();
    return bare;
  }

  get pid(): number {
    return this.#child.pid ?? Number.NaN;
  }

  /** Pods a second. */
  async fan(width: number, withSecrets: boolean): Promise<number> {
    const answer = await this.#ask({ kind: 'fan', width, withSecrets });
    return answer.kind === 'fan' ? (width * 1_000) / answer.milliseconds : Number.NaN;
  }

  /** Watches Pods of others, too. */
  async watch(namespace: string, selector: string): Promise<void> {
    await this.#ask({ kind: 'watch', namespace, selector });
  }

  /** When it saw Pods end, by the key of their launch. */
  async seen(): Promise<Readonly<Record<string, number>>> {
    const answer = await this.#ask({ kind: 'seen' });
    return answer.kind === 'seen' ? answer.times : {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.disconnect();
    await exit;
  }

  async #ask(order: BareOrder): Promise<BareAnswer> {
    const answer = this.#answer();
    this.#child.send(order);
    return answer;
  }

  async #answer(): Promise<BareAnswer> {
    const [answer] = (await Promise.race([once(this.#child, 'message'), this.#gone])) as [BareAnswer];
    if (answer.kind === 'failed') throw new Error(`The baseline failed: ${answer.message}`);
    return answer;
  }
}

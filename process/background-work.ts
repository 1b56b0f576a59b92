/** Work that goes on after an answer went out; a process that ends waits for it. */
export class BackgroundWork {
  readonly #running = new Set<Promise<void>>();

  /** `work` deals with its own failures. */
  add(work: Promise<void>): void {
    const kept = work.finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }

  /** Resolves when nothing is under way. */
  async done(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}

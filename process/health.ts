/**
 * What the probes of a process are told.
 *
 *   starting ──ready()──▶ ready ──draining()──▶ draining
 *
 * `/readyz` answers 503 but while it is ready, and says why. `/livez` answers 503 only when a new process would help:
 * whoever is asked then starts it again.
 */

/** An answer to a probe. */
export interface ProbeAnswer {
  readonly status: 200 | 503;
  readonly body: { readonly status: 'ok' | 'starting' | 'draining' | 'stuck'; readonly reason?: string };
}

const fine: ProbeAnswer = { status: 200, body: { status: 'ok' } };

/** How a process is, as it goes along. */
export class Health {
  #phase: 'starting' | 'ready' | 'draining' = 'starting';
  #why = '';
  readonly #waitsFor = new Set<string>();
  readonly #stuckWhen: (() => string | undefined)[] = [];

  /** Passes `work` on; while it lasts, the start waits for `what`. */
  async during<T>(what: string, work: Promise<T>): Promise<T> {
    this.#waitsFor.add(what);
    try {
      return await work;
    } finally {
      this.#waitsFor.delete(what);
    }
  }

  /** All has started. Never after it was told to go. */
  ready(): void {
    if (this.#phase === 'starting') this.#phase = 'ready';
  }

  /** It is going; from here on it is never ready again. */
  draining(why: string): void {
    this.#phase = 'draining';
    this.#why = why;
  }

  /** Asked at each `/livez`: why the process should be started again, or undefined. */
  stuckWhen(look: () => string | undefined): void {
    this.#stuckWhen.push(look);
  }

  readyz(): ProbeAnswer {
    if (this.#phase === 'ready') return fine;
    const reason = this.#phase === 'draining' ? `shutting down: ${this.#why}` : this.#startingReason();
    return { status: 503, body: { status: this.#phase, reason } };
  }

  livez(): ProbeAnswer {
    const reasons = this.#stuckWhen.flatMap((look) => look() ?? []);
    return reasons.length === 0 ? fine : { status: 503, body: { status: 'stuck', reason: reasons.join('; ') } };
  }

  #startingReason(): string {
    return this.#waitsFor.size === 0 ? 'starting' : `waiting for ${[...this.#waitsFor].join(', ')}`;
  }
}

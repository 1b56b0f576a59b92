/** Pulls images: once, however many runs wait for the same one. */
import type { Engine } from './engine.ts';

interface Pull {
  readonly ended: Promise<void>;
  readonly listeners: Set<(words: string) => void>;
}

/** The images of one engine. */
export class Images {
  readonly #engine: Engine;
  readonly #pulls = new Map<string, Pull>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  isHere(image: string): Promise<boolean> {
    return this.#engine.hasImage(image);
  }

  /**
   * Begins to pull the image, or joins who does. It goes on for the others, and for the next time, when one of them
   * waits no longer.
   */
  async pull(image: string, tell: (words: string) => void): Promise<void> {
    let pull = this.#pulls.get(image);
    if (pull === undefined) {
      const listeners = new Set<(words: string) => void>();
      const ended = this.#engine
        .pull(image, (words) => {
          for (const each of listeners) each(words);
        })
        .finally(() => this.#pulls.delete(image));
      // Those who wait hear of it; there may be none any more.
      ended.catch(() => undefined);
      pull = { ended, listeners };
      this.#pulls.set(image, pull);
    }
    const { ended, listeners } = pull;
    listeners.add(tell);
    try {
      await ended;
    } finally {
      listeners.delete(tell);
    }
  }
}

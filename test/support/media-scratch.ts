/**
 * For tests: the example's registry on a home of its own, with a video in it, and its handlers under the Local
 * launcher.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json } from '../../agenda/types.ts';
import { makeClip } from '../../examples/media/make-clip.ts';
import type { Ending, HandlerRun } from '../../launchers/launcher.ts';
import { LocalLauncher } from '../../launchers/local/local-launcher.ts';
import type { LocalSettings } from '../../launchers/local/local-settings.ts';
import { stopAll } from '../../launchers/local/stop-run.ts';
import { loadRegistry, settingsFor } from '../../launchers/registry.ts';
import { never, recorded, runOf } from './scratch.ts';

/** How one Operation went. */
export interface Performed {
  readonly ending: Ending;
  readonly result: Record<string, unknown>;
  readonly percents: number[];
}

/** A folder with a clip in it, and the media handlers run on it. */
export class MediaScratch implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'pop-media-'));
  /** The read root. */
  readonly media = join(this.folder, 'media');
  readonly source = join(this.media, 'clip.mp4');
  readonly launcher: LocalLauncher;
  readonly #registry = loadRegistry(fileURLToPath(new URL('../../examples/media/registry.json', import.meta.url)), {
    POP_HOME: this.folder,
  });
  readonly #runs = join(this.folder, 'runs');
  #count = 0;

  private constructor() {
    this.launcher = new LocalLauncher({ root: this.#runs });
  }

  static async make(seconds: number): Promise<MediaScratch> {
    const scratch = new MediaScratch();
    mkdirSync(scratch.at(''), { recursive: true });
    await makeClip({ target: scratch.source, seconds });
    return scratch;
  }

  /** In the write root. */
  at(name: string): string {
    return join(this.media, 'output', name);
  }

  run(type: string, payload: Json, settings: Partial<LocalSettings> = {}): HandlerRun {
    const registered = settingsFor(this.#registry, type);
    if (registered?.launch !== 'local') throw new Error(`${type} is not registered as a process`);
    this.#count += 1;
    const run = runOf({ command: ['true'] }, { key: `run-${this.#count}`, type, payload: JSON.stringify(payload) });
    return { ...run, settings: { ...registered, ...settings } };
  }

  /** One Operation to its end; `settings` stand for the registry's. */
  async perform(type: string, payload: Json, settings?: Partial<LocalSettings>): Promise<Performed> {
    const run = this.run(type, payload, settings);
    const events = recorded();
    await this.launcher.start(run);
    const ending = await this.launcher.follow(run, events, never());
    const result = ending.kind === 'succeeded' ? (ending.result as Record<string, unknown>) : {};
    return { ending, result, percents: events.progresses.flatMap(({ percentComplete }) => percentComplete ?? []) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stopAll(this.#runs, 0);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

/**
 * The launcher of `launch: "inProcess"` types: a function in the pool worker itself, for steps so small that a process
 * would cost more than the work. Nothing is written to disk, so a run dies with its worker and cannot be adopted by
 * another. A function that ignores its signal cannot be forced: after the grace its run counts as gone.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Json } from '../../agenda/types.ts';
import { type Fence, fenceOf } from '../../messages/resource-pool.ts';
import {
  type Ending,
  type FollowEvents,
  type HandlerProgress,
  type HandlerRun,
  isOf,
  type KnownRun,
  LaunchError,
  type Launcher,
  type OperationOfRun,
  type RunHandle,
} from '../launcher.ts';
import type { InProcessSettings } from './in-process-settings.ts';

/** The tools that a function of an `inProcess` type gets. */
export interface InProcessTools {
  /** Aborts when the run is to end: it was cancelled, or took too long. */
  readonly signal: AbortSignal;
  report(progress: HandlerProgress): void;
}

/** A function of an `inProcess` type. Its return value is the result; an error that it throws fails the Operation. */
export type InProcessFunction = (payload: Json, tools: InProcessTools) => Promise<Json | undefined> | Json | undefined;

const builtIn: Readonly<Record<string, InProcessFunction>> = { noOp: () => undefined };

interface Run {
  /** Not its payload, which may be large: the function has that. */
  readonly run: Fence & { readonly key: string };
  readonly stop: AbortController;
  readonly startedTime: number;
  readonly listeners: Set<FollowEvents>;
  readonly ending: Promise<Ending>;
  end(ending: Ending): void;
  alive: boolean;
  progress?: HandlerProgress;
  limits: NodeJS.Timeout[];
}

/** What such a launcher is made of. */
export interface InProcessLauncherOptions {
  /** Name of the worker's process, which no other process ever has. */
  readonly worker: string;
  /** By the name that a registry entry's `function` gives; `noOp` is there always. */
  readonly functions?: Readonly<Record<string, InProcessFunction>>;
}

/** Runs functions in this process. Its runs are known to this process only. */
export class InProcessLauncher implements Launcher {
  readonly place: string;
  readonly survivesWorker = false;
  readonly handsOverAtStart = true;
  readonly #functions: Readonly<Record<string, InProcessFunction>>;
  readonly #runs = new Map<string, Run>();

  constructor({ worker, functions }: InProcessLauncherOptions) {
    this.place = `inProcess:${worker}`;
    this.#functions = { ...builtIn, ...functions };
  }

  async start(run: HandlerRun): Promise<RunHandle> {
    if (this.#runs.has(run.key)) return { key: run.key, adopted: true };
    const { settings, type } = run;
    if (settings.launch !== 'inProcess')
      throw new LaunchError('otherLauncher', `The type "${type}" is launched "${settings.launch}", not as a function.`);
    const perform = await this.#loaded(settings);
    // Two starts of one key may both have waited for the module.
    if (this.#runs.has(run.key)) return { key: run.key, adopted: true };
    this.#runs.set(run.key, begin(run, perform));
    return { key: run.key, adopted: false };
  }

  async follow({ key }: HandlerRun, events: FollowEvents, signal: AbortSignal): Promise<Ending> {
    signal.throwIfAborted();
    const run = this.#runs.get(key);
    if (run === undefined) return { kind: 'lost', code: 'lost', message: 'The run is not in this worker.' };
    events.started(run.startedTime);
    if (run.progress !== undefined) events.progress(run.progress);
    run.listeners.add(events);
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([run.ending, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
      run.listeners.delete(events);
    }
  }

  async stop(key: string, graceSeconds: number): Promise<void> {
    const run = this.#runs.get(key);
    if (!run?.alive) return;
    const cancelled: Ending = { kind: 'cancelled', message: 'The run was stopped.' };
    run.stop.abort(new Stopped(cancelled));
    giveUpAfter(run, graceSeconds, cancelled);
    await run.ending;
  }

  async forget(key: string): Promise<void> {
    if (this.#runs.get(key)?.alive === false) this.#runs.delete(key);
  }

  async find(operation: OperationOfRun): Promise<readonly KnownRun[]> {
    return (await this.list()).filter((run) => isOf(run, operation));
  }

  async list(): Promise<readonly KnownRun[]> {
    return [...this.#runs.values()].map(({ run, alive }) => ({ key: run.key, ...fenceOf(run), alive }));
  }

  /** Loading a module may take for ever, such as when it waits at its top level. */
  async #loaded(settings: InProcessSettings): Promise<InProcessFunction> {
    const { scheduledSeconds } = settings;
    const late = Promise.withResolvers<never>();
    const timer = timerOf(scheduledSeconds, () => {
      const limit = `scheduledSeconds = ${scheduledSeconds}`;
      late.reject(
        new LaunchError('scheduledLimit', `The function "${settings.function}" was not loaded within ${limit}.`),
      );
    });
    try {
      return await Promise.race([this.#functionOf(settings), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A name, or `<module>#<export>` with the module's path relative to the registry's folder. */
  async #functionOf({ function: name, folder }: InProcessSettings): Promise<InProcessFunction> {
    if (Object.hasOwn(this.#functions, name)) return this.#functions[name] as InProcessFunction;
    const [path, exported] = splitAtLast(name, '#');
    if (path === undefined || exported === undefined) {
      throw new LaunchError(
        'unknownFunction',
        `There is no function "${name}" (known: ${Object.keys(this.#functions).join(', ')}; or "<module>#<export>").`,
      );
    }
    const url = pathToFileURL(resolve(folder, path)).href;
    let found: unknown;
    try {
      found = ((await import(url)) as Record<string, unknown>)[exported];
    } catch (error) {
      throw new LaunchError(
        'unknownFunction',
        `The module of the function "${name}" cannot be loaded: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
    if (typeof found !== 'function')
      throw new LaunchError('unknownFunction', `The module ${path} exports no function "${exported}".`);
    return found as InProcessFunction;
  }
}

/** Node's timers fire at once when they are set for longer. */
const longestTimerSeconds = 2_147_483;

/** Undefined for a limit of more than 24 days: a process that keeps functions waiting for so long does not live on. */
function timerOf(seconds: number, fire: () => void): NodeJS.Timeout | undefined {
  return seconds > longestTimerSeconds ? undefined : setTimeout(fire, seconds * 1_000);
}

/** The reason with which a function's signal aborts; it tells how the run has then ended. */
class Stopped extends Error {
  readonly ending: Ending;
  constructor(ending: Ending) {
    super(ending.kind === 'timedOut' ? `The ${ending.limit} limit was exceeded.` : 'The run was stopped.');
    this.name = 'AbortError';
    this.ending = ending;
  }
}

function begin(handlerRun: HandlerRun, perform: InProcessFunction): Run {
  const { promise, resolve: settle } = Promise.withResolvers<Ending>();
  const run: Run = {
    run: { key: handlerRun.key, ...fenceOf(handlerRun) },
    stop: new AbortController(),
    startedTime: Date.now(),
    listeners: new Set(),
    ending: promise,
    alive: true,
    limits: [],
    end(ending) {
      if (!run.alive) return;
      run.alive = false;
      for (const limit of run.limits) clearTimeout(limit);
      const { startedTime, progress } = run;
      settle({ ...ending, startedTime, endedTime: Date.now(), ...(progress === undefined ? {} : { progress }) });
    },
  };
  const { runSeconds, quietSeconds, graceSeconds } = handlerRun.settings;
  const limit = (which: 'run' | 'quiet', seconds: number) =>
    timerOf(seconds, () => {
      const message = `The ${which} limit of ${seconds} s was exceeded.`;
      const ending: Ending = {
        kind: 'timedOut',
        limit: which,
        diagnosticEvents: [{ code: `${which}Limit`, message, time: Date.now() }],
      };
      run.stop.abort(new Stopped(ending));
      giveUpAfter(run, graceSeconds, ending);
    });
  const whole = runSeconds === undefined ? undefined : limit('run', runSeconds);
  if (whole !== undefined) run.limits.push(whole);
  const quiet = quietSeconds === undefined ? undefined : limit('quiet', quietSeconds);
  if (quiet !== undefined) run.limits.push(quiet);
  const tools: InProcessTools = {
    signal: run.stop.signal,
    report(progress) {
      if (!run.alive) return;
      run.progress = progress;
      quiet?.refresh();
      for (const listener of run.listeners) listener.progress(progress);
    },
  };
  void call(perform, handlerRun.payload, tools).then(
    (result) =>
      run.end(endingOf(run.stop.signal) ?? { kind: 'succeeded', ...(result === undefined ? {} : { result }) }),
    (error: unknown) => run.end(endingOf(run.stop.signal) ?? failed(error)),
  );
  return run;
}

/** A function that throws before its first await fails only its own run, too. */
async function call(perform: InProcessFunction, payload: string, tools: InProcessTools): Promise<Json | undefined> {
  return perform(JSON.parse(payload) as Json, tools);
}

function endingOf(signal: AbortSignal): Ending | undefined {
  return signal.reason instanceof Stopped ? signal.reason.ending : undefined;
}

function giveUpAfter(run: Run, graceSeconds: number, ending: Ending): void {
  run.limits.push(setTimeout(() => run.end(ending), graceSeconds * 1000));
}

function failed(error: unknown): Ending {
  const message = error instanceof Error ? error.message : String(error);
  const stackTrace = error instanceof Error ? error.stack : undefined;
  return {
    kind: 'failed',
    code: 'exception',
    diagnosticEvents: [
      { code: 'exception', message, time: Date.now(), ...(stackTrace === undefined ? {} : { stackTrace }) },
    ],
  };
}

function splitAtLast(text: string, separator: string): [string | undefined, string | undefined] {
  const at = text.lastIndexOf(separator);
  return at <= 0 || at === text.length - 1 ? [undefined, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** A launcher starts a handler run in its place, follows it to its end, and stops it. */
import type { FailureCode, FailureCodeOf } from '../agenda/failure.ts';
import type { DiagnosticEvent, Json, JsonObject } from '../agenda/types.ts';
import type { Fence } from '../messages/resource-pool.ts';
import type { HandlerSettings, LaunchKind } from './registry.ts';

/** Everything a handler run needs. `key` names the launch: a start with the same key adopts what is there. */
export interface HandlerRun<Settings extends HandlerSettings = HandlerSettings> extends Fence {
  /** Made from the fence (launch-key.ts); safe as a file name and as a Pod name. */
  readonly key: string;
  readonly type: string;
  readonly cid: string;
  readonly customerId: string;
  /** The Insight that admitted its Agenda. Absent: the service did not tell. */
  readonly insightId?: string;
  /** What its Customer is set to: where its Pods go, of types with a namespace for each Customer. */
  readonly customerNamespace?: string;
  /** The submitter's id of the Operation, or its name. */
  readonly operationId: string;
  /** Id of the OperationProgress. */
  readonly progressId: string;
  /** Resolved payload, JSON text. */
  readonly payload: string;
  /** The OperationProgress of an earlier run, JSON text, for resuming. */
  readonly lastProgress?: string;
  readonly traceparent?: string;
  /** For a handler that reports by itself. Absent: the service gave no token. */
  readonly report?: ReportAccess;
  /** The registry entry of its type, limits of the Operation already laid over it. */
  readonly settings: Settings;
}

/** How the handler of one launch reaches the ResourcePool service by itself. */
export interface ReportAccess {
  /** The api's base with its path, such as `http://127.0.0.1:8080/v1`; no secret. */
  readonly url: string;
  /** For this launch only. A secret: it is handed over in a file, never in an environment, an argument or a log. */
  readonly token: string;
}

/** The progress that a handler reports while it runs. */
export interface HandlerProgress {
  readonly message?: string;
  /** 0..100 */
  readonly percentComplete?: number;
  readonly diagnosticEvents?: readonly DiagnosticEvent[];
  /** Resume data, handed to the next attempt. */
  readonly params?: JsonObject;
}

/** How a launch ended. Times are epoch milliseconds. */
export type Ending = (
  | { readonly kind: 'succeeded'; readonly result?: Json }
  | {
      readonly kind: 'failed';
      /** Why; words that a handler chose itself are in the events only. */
      readonly code: FailureCode;
      readonly diagnosticEvents: readonly DiagnosticEvent[];
      readonly result?: Json;
    }
  | {
      readonly kind: 'timedOut';
      readonly limit: 'scheduled' | 'quiet' | 'run';
      readonly diagnosticEvents: readonly DiagnosticEvent[];
    }
  /**
   * The run is gone without an end of its own (host rebooted, node lost). The launch may be repeated, and the Operation
   * is not charged for it.
   */
  | { readonly kind: 'lost'; readonly code: FailureCodeOf<'infrastructure'>; readonly message: string }
  | { readonly kind: 'cancelled'; readonly message: string }
) & {
  readonly startedTime?: number;
  readonly endedTime?: number;
  readonly log?: HandlerLog;
  readonly progress?: HandlerProgress;
};

/** The handler's output: the part that was kept, and how much there was. */
export interface HandlerLog {
  readonly output: string;
  readonly totalBytes: number;
}

/** Hears of a run while it is followed. `startedTime` is in epoch milliseconds. */
export interface FollowEvents {
  progress(progress: HandlerProgress): void;
  started(startedTime: number): void;
  /**
   * Asks when the handler last reported past the launcher, with the token of its launch; epoch milliseconds, undefined:
   * never. Asked only when a handler is about to be stopped as quiet. While it rejects nobody can tell, and nothing is
   * stopped.
   */
  lastReport?(): Promise<number | undefined>;
}

/** The answer of a start. */
export interface RunHandle {
  readonly key: string;
  /** True when the run was there already. */
  readonly adopted: boolean;
}

/** Starts, follows and stops the runs of one place. */
export interface Launcher {
  /** The place: workers with the same place can adopt each other's runs, and no other worker has the same. */
  readonly place: string;
  /** The name that a version before gave to this place, while runs of it may be there. */
  readonly formerPlace?: string;
  /** True when a run goes on without the worker that started it, to be adopted; false when it ends with it. */
  readonly survivesWorker: boolean;
  /**
   * Creates the run, or adopts the run with this key. It returns once it is certain that the run exists.
   * @throws LaunchError when the run can never be started (bad command): the Operation fails. With any other error it
   * cannot be started now (no process, no memory, a full disk): it is no launch yet, and the start is tried again.
   */
  start(run: HandlerRun): Promise<RunHandle>;
  /** Follows the run to its end. When `signal` aborts, it rejects with the signal's reason and leaves the run alone. */
  follow(run: HandlerRun, events: FollowEvents, signal: AbortSignal): Promise<Ending>;
  /**
   * Asks the run to end, waits `graceSeconds`, then forces it. It resolves when the run is really gone, and at once
   * when the key is unknown.
   */
  stop(key: string, graceSeconds: number): Promise<void>;
  /** Drops everything that is kept of an ended run. It is called once the end is acknowledged. */
  forget(key: string): Promise<void>;
  /**
   * Takes back a start that failed, as far as nothing of it has begun: what has is left to the next start, which adopts
   * it. Absent: a start that failed leaves nothing that can begin, and `forget` does.
   */
  abandon?(key: string): Promise<void>;
  /** All runs in this place, whichever worker started them. */
  list(): Promise<readonly KnownRun[]>;
  /** Those of one Operation, whatever launch. */
  find(operation: OperationOfRun): Promise<readonly KnownRun[]>;
}

/** The launchers of one pool worker, by what their types say as `launch`. */
export type Launchers = Readonly<Partial<Record<LaunchKind, Launcher>>>;

/** An Operation in an attempt of its Agenda. */
export type OperationOfRun = Pick<Fence, 'agendaId' | 'attempt' | 'operation'>;

/** What a launcher remembers of a run, enough to ask whether it is still wanted. */
export interface KnownRun extends Fence {
  readonly key: string;
  readonly alive: boolean;
}

/** Whether the run is one of the Operation's. */
export const isOf = (run: OperationOfRun, { agendaId, attempt, operation }: OperationOfRun): boolean =>
  run.agendaId === agendaId && run.attempt === attempt && run.operation === operation;

/** A run that can never start. */
export class LaunchError extends Error {
  readonly code: FailureCode;
  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LaunchError';
    this.code = code;
  }
}

/**
 * What a pool worker and the api say to each other (the ResourcePool service). The api checks what comes with schemas
 * built to these types; whoever sends or stores it knows these alone. Times are epoch milliseconds.
 */
import type { DiagnosticEvent, JsonObject, OperationTimeout } from '../agenda/types.ts';

/** What the service understands, as a number; raised when pool workers begin to need something that it lacked. */
export const resourcePoolProtocol = 2;
/** A pool worker tells of itself at least so often. */
export const signOfLifeSeconds = 30;
/** One that told nothing for so long counts as gone: room for two signs of life that were lost. */
export const aliveSeconds = 100;
/** What a registry served is remembered for so long after the last pool worker with it was seen. */
export const registryHours = 24;
/** The verdict `elsewhere`, as a pool worker says that it knows it. */
export const elsewhere = 'elsewhere';
/** Header of a request: the installation that the pool worker belongs to. Absent in those of version 0.1.0. */
export const installationHeader = 'POP-Installation';
/** Header of a request: the ResourcePool that the pool worker serves. Absent in those of version 0.1.0. */
export const poolHeader = 'POP-Pool';

/** The five that fence a report: one with an old number is refused and changes nothing. */
export interface Fence {
  readonly agendaId: string;
  /** Of the Agenda. */
  readonly attempt: number;
  /** The Operation's name. */
  readonly operation: string;
  readonly operationAttempt: number;
  readonly launch: number;
}

/** The five of anything that has them. */
export const fenceOf = ({ agendaId, attempt, operation, operationAttempt, launch }: Fence): Fence => ({
  ...{ agendaId, attempt, operation, operationAttempt, launch },
});

/** What one run of an Operation type takes of its pool; what is absent is not known, and counts nothing. */
export interface TypeNeeds {
  readonly slots?: number;
  /** Cores. */
  readonly cpu?: number;
  /** Bytes. */
  readonly memory?: number;
  /** Devices. */
  readonly gpu?: number;
}

/** A pool worker tells of itself: before it takes work, when its registry changes, and as a sign of life. */
export interface WorkerReport {
  /** Its name in the record. */
  readonly worker: string;
  readonly version: string;
  /** Operations that it runs at once. */
  readonly slots: number;
  readonly startedTime: number;
  /** Of the registry in use: the same for workers whose registries say the same. */
  readonly registryDigest: string;
  readonly types: Readonly<Record<string, TypeNeeds>>;
  /** What is wrong with the registry file, where it was edited and is not in use. */
  readonly registryProblem?: string | undefined;
  /** It takes no more work. */
  readonly leaving?: boolean | undefined;
}

/** Asks for an Operation to run. */
export interface StartOperationItem {
  readonly agendaId: string;
  readonly attempt: number;
  readonly operation: string;
  /** The Operation's type, as the plan says; `launcher` is meant for it. */
  readonly type?: string | undefined;
  /** Which of `places` the type is launched at by this worker; absent when it does not know the type. */
  readonly launcher?: string | undefined;
  /** Type to launcher, for whoever was not told the type: workflow code of version 0.1.0 does not tell it. */
  readonly launchers?: Readonly<Record<string, string>> | undefined;
  /**
   * Where this worker launches what `places` does not say, and a place more that is in its reach. The current launch is
   * adopted when it lives at any of them, else a new one begins. Workers of version 0.1.0 have no other.
   */
  readonly place: string;
  /** Launcher to place. */
  readonly places?: Readonly<Record<string, string>> | undefined;
  readonly worker: string;
  /** The launch this worker knows to be lost. */
  readonly lostLaunch?: number | undefined;
  /** Verdicts that the worker knows beyond those of version 0.1.0: `later`, `elsewhere`. */
  readonly understands?: readonly string[] | undefined;
  readonly scheduledTime?: number | undefined;
  readonly pulledTime?: number | undefined;
}

/** A sign of life of a launch, with what is new. */
export interface ReportProgressItem extends Fence {
  readonly worker?: string | undefined;
  /** Nobody at the worker follows this run: it asks whether the run is still wanted, which is no sign of life. */
  readonly orphan?: boolean | undefined;
  readonly startedTime?: number | undefined;
  /** It could not be started: the launcher's place refused it, and it is tried again under the same launch. */
  readonly blocked?: { readonly reason: string } | undefined;
  readonly message?: string | undefined;
  /** 0 to 100. */
  readonly percentComplete?: number | undefined;
  readonly diagnosticEvents?: readonly ReportedEvent[] | undefined;
  readonly params?: JsonObject | undefined;
}

/** How a launch ended. */
export interface FinishOperationItem extends Fence {
  readonly outcome: 'succeeded' | 'failed' | 'cancelled';
  /** How the launch ended; who says it knows the verdict `again`, too. */
  readonly ending?: 'succeeded' | 'failed' | 'timedOut' | 'lost' | 'cancelled' | undefined;
  /** Why it failed; see docs/failures.md. A word of a later version is taken, too. */
  readonly category?: string | undefined;
  readonly code?: string | undefined;
  /** JSON text of the result. */
  readonly result?: string | undefined;
  readonly diagnosticEvents?: readonly ReportedEvent[] | undefined;
  readonly params?: JsonObject | undefined;
  readonly log?: { readonly output: string; readonly totalBytes: number } | undefined;
  readonly startedTime?: number | undefined;
  readonly endedTime?: number | undefined;
  readonly noticedTime?: number | undefined;
}

/** A diagnostic event as it comes over the wire: what is absent may be there as undefined. */
export type ReportedEvent = { readonly [Field in keyof DiagnosticEvent]: DiagnosticEvent[Field] | undefined } & {
  readonly message: string;
};

/** The answers to starts: one per item, in the same order. */
export type StartVerdict =
  | {
      readonly verdict: 'run';
      readonly operationAttempt: number;
      readonly launch: number;
      /** Where the launch lives. Absent in version 0.1.0, which knows one place of a worker. */
      readonly place?: string;
      readonly type: string;
      readonly cid: string;
      readonly customerId: string;
      /** The Insight that admitted the Agenda. Absent from an api of an older version. */
      readonly insightId?: string;
      /** Where Pods of the Customer go, of types with a namespace for each; absent: one that is named after its id. */
      readonly namespace?: string;
      readonly operationId: string;
      readonly progressId: string;
      /** Resolved payload, JSON text (`null` when the Operation has none). */
      readonly payload: string;
      readonly lastProgress?: string;
      /** This launch was handed out before: what runs of it is adopted. */
      readonly adopt?: true;
      readonly timeout?: OperationTimeout;
      /** Lets the handler of this launch report by itself. Absent in version 0.1.0. */
      readonly token?: string;
    }
  /** It has ended already (or could not begin, such as with an invalid reference): nothing is launched. */
  | { readonly verdict: 'ended'; readonly outcome: string }
  /**
   * Not yet: something that it depends on has not succeeded, or it waits after a lost launch. Nothing changed; it is
   * asked for again then.
   */
  | { readonly verdict: 'later'; readonly inMilliseconds: number }
  /**
   * This worker does not serve the type, and others do or did: nothing changed but that the Operation shows `reason`.
   * It is handed back, and asked for again then, by whoever gets it.
   */
  | { readonly verdict: 'elsewhere'; readonly reason: string; readonly inMilliseconds: number }
  /** Cancel was asked for: nothing is launched; what runs is to be stopped. */
  | { readonly verdict: 'cancelled' }
  /** This attempt is not the current one, or the Agenda is over or unknown to this pool. */
  | { readonly verdict: 'over' };

/** The answers to reports of progress: one per item, in the same order. */
export type ProgressVerdict =
  /**
   * `inMilliseconds`, where it said that it is blocked: when to try again. `reportedTime`: when the handler of this
   * launch last reported by itself, with its token; absent when it never did, and in version 0.1.0.
   */
  | { readonly verdict: 'ok'; readonly inMilliseconds?: number; readonly reportedTime?: number }
  | { readonly verdict: 'cancelled' }
  /**
   * Another launch took its place, it has ended, or the Agenda is over: stop the run and forget it. `ended`: this
   * launch's own end is in the record already, such as when its handler reported it by itself; what it printed is still
   * wanted.
   */
  | { readonly verdict: 'over'; readonly ended?: true };

/** The answers to ends: one per item, in the same order. */
export type FinishVerdict =
  /** Recorded now, or by an earlier send of the same report. */
  | { readonly verdict: 'stored'; readonly outcome: string }
  /** The launch was lost and another one is to follow: the Operation is asked for again then. */
  | { readonly verdict: 'again'; readonly inMilliseconds: number }
  /** Refused: not the current launch, or over. Changes nothing. */
  | { readonly verdict: 'over'; readonly outcome?: string }
  /**
   * The report itself was not acceptable (result too large, not JSON): the Operation was recorded as failed with this
   * message.
   */
  | { readonly verdict: 'refused'; readonly code: string; readonly message: string };

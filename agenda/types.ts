/** The types of an Agenda, as it is submitted, stored and walked. Pure data: every room may import it. */

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** An object of JSON; read its fields by `Object.hasOwn` where a name comes from outside. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Limits of one Operation in seconds; an absent one falls back to the registry entry of its type. */
export interface OperationTimeout {
  /** Seconds from the request to the start by the launcher. */
  readonly scheduledSeconds?: number;
  /** Seconds of the longest silence: no log output and no progress report. */
  readonly quietSeconds?: number;
  /** Seconds from start to end. */
  readonly runSeconds?: number;
}

/** One step of an Agenda; one Operation is done by one handler run. */
export interface Operation {
  /** Unique in its Agenda ignoring case; at most 128 characters; used in references (`@<name.out::/path>`). */
  readonly name: string;
  /** Looked up in the pool's registry, or a resident type. */
  readonly type: string;
  readonly id?: string;
  readonly payload?: Json;
  readonly params?: JsonObject;
  /** Names of Operations that must succeed first. POP's comma list `params.dependsOn` counts too. */
  readonly dependsOn?: readonly string[];
  /** Its part of the Agenda's percentage; default 1. */
  readonly weight?: number;
  readonly timeout?: OperationTimeout;
}

/** A workflow as its customer submits it. */
export interface Agenda {
  readonly customerId: string;
  readonly title?: string;
  readonly linkId?: string;
  readonly progressId?: string;
  readonly params?: JsonObject;
  readonly operations: readonly Operation[];
  /** Most Operations of this Agenda in flight at once; default and most: `mostInFlight`. */
  readonly parallelism?: number;
  /**
   * Head start among the waiting Agendas of its customer, in steps of its Insight: from -`highestPriority` to
   * `highestPriority`, default 0.
   */
  readonly priority?: number;
  /** The most it will hold at once; absent: computed from what its Operation types need. */
  readonly peak?: Peak;
  /** Seconds that it is expected to run, where the submitter knows better than what was learned. */
  readonly expectedSeconds?: number;
  /** Not admitted before; epoch milliseconds. */
  readonly notBefore?: number;
}

/** What an Agenda holds of its ResourcePool. Absent: `slots` 1, the others 0. */
export interface Peak {
  readonly slots?: number;
  /** Cores. */
  readonly cpu?: number;
  /** Bytes. */
  readonly memory?: number;
  /** Devices. */
  readonly gpu?: number;
}

/** The state of an Agenda or an Operation: before it began, while it goes on, once it ended. */
export type ProcessingState = 'WAITING' | 'EXECUTING' | 'COMPLETE';

/** One fact about a failure, for people and programs. Times are epoch milliseconds. */
export interface DiagnosticEvent {
  readonly message: string;
  readonly statusCode?: number;
  /** Stable machine word, such as `exitCode`, `runLimit`, `invalidReference`. */
  readonly code?: string;
  readonly time?: number;
  readonly stackTrace?: string;
  readonly payload?: Json;
}

/** One thing wrong with what was submitted; `pointer` is a JSON pointer into the request body. */
export interface Fault {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/** Most Operations one Agenda may have. */
export const maximumOperations = 500;
/** Largest `priority`, and below 0 the smallest. */
export const highestPriority = 100;
/** Longest `expectedSeconds`, and longest of the settings in seconds: a year. */
export const mostSeconds = 365 * 24 * 3600;
/** Most Operations of one Agenda in flight at once. */
export const mostInFlight = 200;
/** Most characters of an Operation's name. */
export const maximumNameLength = 128;
/** Most bytes of one payload as it is submitted, and of one result: 1 MiB less 16 KiB. */
export const maximumPayloadBytes = 1024 * 1024 - 16 * 1024;
/** Most bytes of one payload with its references replaced: room for the results of a wide fan-in. */
export const maximumResolvedPayloadBytes = 4 * maximumPayloadBytes;
/** Deepest nesting in which references are looked for. */
export const maximumReferenceDepth = 32;
/** Most bytes of ids, `linkId` and `cid`. */
export const maximumIdBytes = 200;

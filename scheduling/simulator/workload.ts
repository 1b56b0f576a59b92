/** The input and the report of a simulation. Times are virtual seconds. */
import type { CostModel } from '../cost-models.ts';
import type { CustomerShare, Resources, SchedulerOptions } from '../scheduler.ts';

/** An Agenda as the simulator knows it: what it will really do, and what the scheduler is told. */
export interface Job {
  readonly customerId: string;
  /** How long it runs. */
  readonly seconds: number;
  readonly need?: Resources;
  /** Told to the scheduler; default 1, or what the workload's cost model says. */
  readonly cost?: number;
  /** Told to it at the end; default: nothing. */
  readonly actualCost?: number;
  readonly priority?: number;
  /** Told to the scheduler; default: nothing. */
  readonly expectedSeconds?: number;
}

/** A job that arrives at a time, in seconds. */
export interface Arrival extends Job {
  readonly time: number;
  readonly id?: string;
}

/** A customer that never runs out: `waiting` of these wait from `from` on, until `to`. */
export interface Source extends Job {
  readonly waiting: number;
  readonly from?: number;
  readonly to?: number;
}

/** A setting that changes on the way: at a time, or once so many were admitted. */
export interface Change {
  readonly time?: number;
  readonly afterAdmissions?: number;
  readonly share: CustomerShare;
}

/** The input of a simulation: a pool, its customers, and the jobs that arrive. */
export interface Workload {
  readonly name: string;
  /** The pool; default one slot. */
  readonly capacity?: Resources;
  readonly customers?: readonly CustomerShare[];
  readonly arrivals?: readonly Arrival[];
  readonly sources?: readonly Source[];
  readonly changes?: readonly Change[];
  /** Costs from needs and learned durations, trued up at the end; absent: as the jobs say. */
  readonly costModel?: CostModel;
  readonly options?: SchedulerOptions;
  /** Time at which it ends, if not when all is done. */
  readonly untilSeconds?: number;
  readonly untilAdmissions?: number;
  /** For policies that draw lots; default 1. */
  readonly seed?: number;
}

/** A registered algorithm or one of the models of other policies; see policies.ts. */
export type Policy = string | { readonly name: string; readonly options?: SchedulerOptions };

/** One admission of a simulation. */
export interface Admission {
  readonly id: string;
  readonly customerId: string;
  readonly arrival: number;
  readonly start: number;
  /** Time at which it ended or would end. */
  readonly end: number;
  readonly cost: number;
  readonly slots: number;
}

/** The figures of one customer over a whole simulation. */
export interface CustomerReport {
  readonly weight: number;
  readonly admissions: number;
  readonly cost: number;
  /** Slots held × seconds, within the simulated time. */
  readonly slotSeconds: number;
  readonly stillWaiting: number;
  readonly waitP50: number;
  readonly waitP99: number;
  readonly waitMean: number;
  readonly longestWait: number;
}

/** The result of a simulation. Waits and times are seconds. */
export interface SimulationReport {
  readonly workload: string;
  readonly policy: string;
  readonly admissions: readonly Admission[];
  readonly customers: Readonly<Record<string, CustomerReport>>;
  readonly seconds: number;
  /** Part of the slots in use until the last arrival started or the end, 0 to 1. */
  readonly utilisation: number;
  /** Jain's index of service / weight over customers that were admitted: 1 is perfectly even. */
  readonly jain: number;
  /** Largest lag behind and ahead of the fluid server, in cost; NaN with more than 300 customers. */
  readonly lag: { readonly behind: number; readonly ahead: number };
}

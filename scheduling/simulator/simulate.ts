/**
 * Runs a workload against a policy in virtual time, from event to event. It knows no clock, so the same input gives the
 * same result.
 */
import { costOf, type Estimate, learn } from '../cost-models.ts';
import { amountsOf, minus, needOf, plus } from '../need.ts';
import { type Positioned, PositionHeap } from '../position-heap.ts';
import type { CustomerShare } from '../scheduler.ts';
import { FluidReference } from './fluid-reference.ts';
import { type Chooser, createPolicy } from './policies.ts';
import type {
  Admission,
  Arrival,
  CustomerReport,
  Job,
  Policy,
  SimulationReport,
  Source,
  Workload,
} from './workload.ts';

const mostForFluid = 300;
/** Seconds that count where nothing was learned about a duration. */
const secondsUnknown = 60;

interface Event extends Positioned {
  readonly time: number;
  /** At one time ends come first, then changes, then arrivals. */
  readonly kind: 0 | 1 | 2;
  readonly number: number;
  readonly act: () => void;
}

interface Pending {
  readonly job: Job;
  readonly arrival: number;
  readonly source: Source | undefined;
}

/**
 * Simulates what happens to `workload` under `policy`.
 * @throws RangeError for numbers that the policy refuses.
 */
export function simulate(workload: Workload, policy: Policy): SimulationReport {
  return new Simulation(workload, policy).run();
}

class Simulation {
  readonly #workload: Workload;
  readonly #name: string;
  readonly #chooser: Chooser;
  readonly #events = new PositionHeap<Event>((a, b) =>
    a.time !== b.time ? a.time < b.time : a.kind !== b.kind ? a.kind < b.kind : a.number < b.number,
  );
  readonly #shares = new Map<string, CustomerShare>();
  readonly #pending = new Map<string, Pending>();
  readonly #waiting = new Map<string, number>();
  readonly #running = new Map<string, number>();
  readonly #learned = new Map<string, Estimate>();
  readonly #fluid: FluidReference | undefined;
  readonly #admissions: Admission[] = [];
  readonly #changes;
  #free;
  #now = 0;
  #number = 0;
  #behind = 0;
  #ahead = 0;

  constructor(workload: Workload, policy: Policy) {
    this.#workload = workload;
    const { name, chooser } = createPolicy(policy, workload);
    this.#name = name;
    this.#chooser = chooser;
    this.#free = amountsOf(workload.capacity ?? { slots: 1 });
    const jobs = [...(workload.arrivals ?? []), ...(workload.sources ?? [])];
    this.#fluid =
      new Set(jobs.map(({ customerId }) => customerId)).size > mostForFluid ? undefined : new FluidReference();
    this.#changes = (workload.changes ?? []).filter(({ afterAdmissions }) => afterAdmissions !== undefined);
    for (const share of workload.customers ?? []) this.#set(share);
    for (const { time, share } of workload.changes ?? [])
      if (time !== undefined) this.#at(time, 1, () => this.#set(share));
    for (const arrival of workload.arrivals ?? []) this.#at(arrival.time, 2, () => this.#arrive(arrival, arrival.id));
    for (const source of workload.sources ?? []) {
      this.#at(source.from ?? 0, 2, () => {
        for (let i = 0; i < source.waiting; i++) this.#arrive(source, undefined, source);
      });
    }
  }

  run(): SimulationReport {
    const { untilSeconds = Number.POSITIVE_INFINITY } = this.#workload;
    for (let event = this.#events.first; event !== undefined && event.time < untilSeconds; event = this.#events.first) {
      this.#now = event.time;
      while (this.#events.first?.time === this.#now) {
        const { first } = this.#events;
        this.#events.remove(first);
        first.act();
      }
      if (!this.#admit()) break;
    }
    return this.#report();
  }

  #at(time: number, kind: Event['kind'], act: () => void): void {
    this.#number += 1;
    this.#events.add({ time, kind, number: this.#number, act, position: -1 });
  }

  #set(share: CustomerShare): void {
    this.#shares.set(share.id, share);
    this.#chooser.setCustomer(share);
    if (this.#fluid !== undefined) this.#fluid.of(share.id).weight = share.weight;
    this.#look(share.id);
  }

  #arrive(job: Job | Arrival, id = `a${this.#number}`, source?: Source): void {
    this.#number += 1;
    const { customerId, need, priority, expectedSeconds } = job;
    this.#pending.set(id, { job, arrival: this.#now, source });
    this.#waiting.set(customerId, (this.#waiting.get(customerId) ?? 0) + 1);
    this.#chooser.add({
      id,
      customerId,
      readyTime: this.#now,
      cost: this.#costOf(job, expectedSeconds ?? this.#learned.get(customerId)?.seconds ?? secondsUnknown),
      ...(need === undefined ? {} : { need }),
      ...(priority === undefined ? {} : { priority }),
      ...(expectedSeconds === undefined ? {} : { expectedSeconds }),
    });
    this.#look(customerId);
  }

  /** Admits all that goes now. False when the simulation is over. */
  #admit(): boolean {
    const { untilAdmissions = Number.POSITIVE_INFINITY } = this.#workload;
    if (Number.isFinite(this.#free.slots)) this.#chooser.begin(Math.floor(Math.max(0, this.#free.slots)));
    for (;;) {
      if (this.#admissions.length >= untilAdmissions) return false;
      const decision = this.#chooser.next({ ...this.#free }, this.#now);
      if (decision === undefined) return true;
      const { id, customerId, cost } = decision;
      const { job, arrival, source } = this.#pending.get(id) as Pending;
      const need = needOf(job.need);
      this.#pending.delete(id);
      this.#waiting.set(customerId, (this.#waiting.get(customerId) ?? 0) - 1);
      this.#running.set(customerId, (this.#running.get(customerId) ?? 0) + 1);
      this.#free = minus(this.#free, need);
      if (source !== undefined && this.#now < (source.to ?? Number.POSITIVE_INFINITY))
        this.#arrive(source, undefined, source);
      this.#at(this.#now + job.seconds, 0, () => this.#end(id, job));
      this.#admissions.push({
        id,
        customerId,
        arrival,
        start: this.#now,
        end: this.#now + job.seconds,
        cost,
        slots: need.slots,
      });
      this.#measure(customerId, cost);
      for (const { afterAdmissions, share } of this.#changes)
        if (afterAdmissions === this.#admissions.length) this.#set(share);
    }
  }

  #end(id: string, job: Job): void {
    const { customerId, seconds, actualCost } = job;
    this.#running.set(customerId, (this.#running.get(customerId) ?? 0) - 1);
    this.#free = plus(this.#free, needOf(job.need));
    this.#learned.set(customerId, learn(this.#learned.get(customerId), seconds));
    this.#chooser.finish(id, this.#workload.costModel === undefined ? actualCost : this.#costOf(job, seconds));
    this.#look(customerId);
  }

  #costOf({ cost = 1, need = { slots: 1 } }: Job, seconds: number): number {
    const { costModel: model, capacity: pool = { slots: 1 } } = this.#workload;
    return model === undefined ? cost : costOf({ model, peak: need, pool, seconds });
  }

  #isEligible(id: string): boolean {
    const share = this.#shares.get(id);
    const runs = this.#running.get(id) ?? 0;
    return (
      (this.#waiting.get(id) ?? 0) > 0 &&
      share?.paused !== true &&
      runs < (share?.maximumRunning ?? Number.POSITIVE_INFINITY)
    );
  }

  #look(id: string): void {
    this.#fluid?.setEligible(id, this.#isEligible(id));
  }

  #measure(customerId: string, cost: number): void {
    if (this.#fluid === undefined) return;
    this.#fluid.admit(customerId, cost, this.#isEligible(customerId));
    for (const id of this.#fluid.customers.keys()) {
      if (!this.#isEligible(id)) continue;
      const lag = this.#fluid.lag(id);
      this.#behind = Math.max(this.#behind, lag);
      this.#ahead = Math.max(this.#ahead, -lag);
    }
  }

  #report(): SimulationReport {
    const { untilSeconds } = this.#workload;
    const ends = this.#admissions.map(({ end }) => end);
    const seconds = untilSeconds ?? ends.reduce((most, end) => Math.max(most, end), 0);
    const byCustomer = Map.groupBy(this.#admissions, ({ customerId }) => customerId);
    for (const id of [...this.#shares.keys(), ...this.#waiting.keys()]) if (!byCustomer.has(id)) byCustomer.set(id, []);
    const customers: Record<string, CustomerReport> = {};
    for (const [id, own] of byCustomer) customers[id] = this.#customerReport(id, own, seconds);
    const rates = Object.values(customers)
      .filter(({ admissions }) => admissions > 0)
      .map(({ cost, weight }) => cost / weight);
    const slots = this.#workload.capacity?.slots ?? 1;
    const held = Object.values(customers).reduce((sum, { slotSeconds }) => sum + slotSeconds, 0);
    return {
      workload: this.#workload.name,
      policy: this.#name,
      admissions: this.#admissions,
      customers,
      seconds,
      utilisation: held / (slots * seconds),
      jain: jainIndex(rates),
      lag:
        this.#fluid === undefined
          ? { behind: Number.NaN, ahead: Number.NaN }
          : { behind: this.#behind, ahead: this.#ahead },
    };
  }

  #customerReport(id: string, own: readonly Admission[], seconds: number): CustomerReport {
    const waits = own.map(({ start, arrival }) => start - arrival).sort((a, b) => a - b);
    const part = (of: number): number => waits[Math.max(0, Math.ceil(waits.length * of) - 1)] ?? Number.NaN;
    return {
      weight: this.#shares.get(id)?.weight ?? 1,
      admissions: own.length,
      cost: own.reduce((sum, { cost }) => sum + cost, 0),
      slotSeconds: own.reduce((sum, { start, end, slots }) => sum + (Math.min(end, seconds) - start) * slots, 0),
      stillWaiting: this.#waiting.get(id) ?? 0,
      waitP50: part(0.5),
      waitP99: part(0.99),
      waitMean: waits.reduce((sum, wait) => sum + wait, 0) / waits.length,
      longestWait: waits.at(-1) ?? Number.NaN,
    };
  }
}

/** Jain's index (Jain, Chiu, Hawe 1984): (Σx)² / (n Σx²). */
export function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares);
}

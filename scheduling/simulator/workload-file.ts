/**
 * Workloads from outside: JSON as docs/scheduling.md describes it, and the Standard Workload Format of the Parallel
 * Workloads Archive.
 */
import type { CustomerShare, Resources } from '../scheduler.ts';
import type { Arrival, Workload } from './workload.ts';

/** One line of a JSON workload's `arrivals`. */
interface JsonArrival {
  readonly time: number;
  readonly customer: string;
  /** Seconds it runs. */
  readonly duration: number;
  readonly weight?: number;
  readonly priority?: number;
  readonly slots?: number;
  readonly need?: Resources;
  readonly expected?: number;
  readonly cost?: number;
}

/** @throws Error naming the first thing that is wrong. */
export function parseJsonWorkload(text: string, name: string): Workload {
  const json: unknown = JSON.parse(text);
  if (!isObject(json) || !Array.isArray(json.arrivals))
    throw new Error('a workload is an object with a list `arrivals`');
  const weights = new Map<string, number>();
  const arrivals = json.arrivals.map((line: unknown, index): Arrival => {
    if (!isObject(line)) throw new Error(`arrivals[${index}] must be an object`);
    const arrival = line as unknown as JsonArrival;
    for (const field of ['time', 'duration'] as const) {
      if (!(Number.isFinite(arrival[field]) && arrival[field] >= 0))
        throw new Error(`arrivals[${index}].${field} must be a number, 0 or more`);
    }
    if (typeof arrival.customer !== 'string') throw new Error(`arrivals[${index}].customer must be a string`);
    if (arrival.weight !== undefined) weights.set(arrival.customer, arrival.weight);
    const { time, customer, duration, priority, slots, expected, cost } = arrival;
    const need = arrival.need ?? (slots === undefined ? undefined : { slots });
    return {
      time,
      customerId: customer,
      seconds: duration,
      ...(priority === undefined ? {} : { priority }),
      ...(need === undefined ? {} : { need }),
      ...(expected === undefined ? {} : { expectedSeconds: expected }),
      ...(cost === undefined ? {} : { cost }),
    };
  });
  const { customers = [], ...rest } = json as unknown as Partial<Workload>;
  const named = customers as readonly CustomerShare[];
  const known = new Set(named.map(({ id }) => id));
  const others = [...weights].filter(([id]) => !known.has(id)).map(([id, weight]) => ({ id, weight }));
  return { ...rest, name: rest.name ?? name, arrivals, customers: [...named, ...others] };
}

/**
 * Reads the Standard Workload Format: one job a line, 18 columns; `;` begins a comment. A user is a customer,
 * processors are slots, and the requested time is what the scheduler is told. The pool has as many slots as `MaxProcs`
 * says, else as many as the largest job needs. Jobs that never ran are left out.
 */
export function parseStandardWorkload(text: string, name: string, most = Number.POSITIVE_INFINITY): Workload {
  let slots = 0;
  const arrivals: Arrival[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed.startsWith(';')) {
      const processors = /MaxProcs:\s*(\d+)/.exec(trimmed)?.[1];
      if (processors !== undefined) slots = Number(processors);
      continue;
    }
    if (trimmed === '' || arrivals.length >= most) continue;
    const columns = trimmed.split(/\s+/).map(Number);
    const [job, submitted, , seconds = -1, used = -1, , , requested = -1, requestedSeconds = -1] = columns;
    const processors = requested > 0 ? requested : used;
    if (submitted === undefined || seconds < 0 || processors <= 0) continue;
    arrivals.push({
      time: submitted,
      id: `job-${job}`,
      customerId: `user-${columns[11] ?? -1}`,
      seconds,
      need: { slots: processors },
      ...(requestedSeconds > 0 ? { expectedSeconds: requestedSeconds } : {}),
    });
  }
  if (arrivals.length === 0) throw new Error('there is no job in it that ran');
  for (const { need } of arrivals) if (!text.includes('MaxProcs')) slots = Math.max(slots, need?.slots ?? 0);
  const first = arrivals.reduce((least, { time }) => Math.min(least, time), Number.POSITIVE_INFINITY);
  return {
    name,
    capacity: { slots },
    costModel: 'shareTime',
    arrivals: arrivals.map((arrival) => ({ ...arrival, time: arrival.time - first })),
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

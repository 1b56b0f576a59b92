/** The data that the fair-share rules work on; see choose-next.ts. */
import { CompensatedSum } from './compensated-sum.ts';
import type { Amounts } from './need.ts';
import type { CustomerShare } from './scheduler.ts';
import { Registry, type Tagged, TagHeap } from './tag-heap.ts';

/** A customer as the rules know it: its share, the weight that acts now, and how many Agendas it runs. */
export interface Customer {
  readonly id: string;
  /** The share as it was set; undefined for a customer that nobody set. */
  share: CustomerShare | undefined;
  weight: number;
  running: number;
  readonly lanes: Lane[];
}

/** A customer in a band. */
export interface Lane extends Tagged {
  readonly customer: Customer;
  readonly band: Band;
  /** S, its start tag. */
  readonly tag: CompensatedSum;
  /** F, what S will be once its head was admitted. */
  readonly finish: CompensatedSum;
  /** Row of its first Agenda that the whole pool could take; -1 when there is none. */
  head: number;
  waiting: number;
  /** A `leaving` lane has nothing to start. It counts in W until the clock reaches its tag. */
  state: 'active' | 'leaving' | 'dormant';
  queues: Queue[];
}

/** The waiting Agendas of a lane that need the same, as a heap of rows. */
export interface Queue extends Tagged {
  readonly lane: Lane;
  readonly needClass: NeedClass;
  readonly rows: number[];
  /** The key of each row. It stands beside the row, so that finding a position touches no other memory. */
  readonly keys: number[];
  heap: TagHeap<Queue> | undefined;
}

/** All queues of a band with the same need: what fits is found by asking once per need, not once per customer. */
export interface NeedClass {
  readonly key: string;
  readonly need: Amounts;
  /** True when the need is more than the whole pool has. */
  neverFits: boolean;
  readonly queues: Set<Queue>;
  readonly registry: Registry<Queue>;
  /** Queues of lanes with S ≤ V, by F; the first is looked at again when the clock moved back. */
  readonly reached: TagHeap<Queue>;
  /** Queues of lanes with S > V, by S. */
  readonly ahead: TagHeap<Queue>;
}

/** A group of customers that share with each other. Bands above it go first. */
export interface Band {
  readonly level: number;
  /** V, the virtual clock: cost per weight. */
  readonly clock: CompensatedSum;
  /** W, the weights of the lanes that are active or leaving. */
  readonly total: CompensatedSum;
  members: number;
  readonly lanes: Registry<Lane>;
  /** Leaving lanes by S. */
  readonly leaving: TagHeap<Lane>;
  readonly classes: NeedClass[];
  /** Admissions here since the last one below, while something below could have started. */
  sinceLower: number;
}

/** A band without lanes; its clock stands at 0. */
export function newBand(level: number): Band {
  const lanes = new Registry<Lane>();
  const [clock, total] = [new CompensatedSum(), new CompensatedSum()];
  return { level, clock, total, members: 0, lanes, leaving: new TagHeap(lanes), classes: [], sinceLower: 0 };
}

/** A dormant lane of the customer, entered into the band. The caller adds it to the customer. */
export const newLane = (customer: Customer, band: Band): Lane =>
  band.lanes.add(customer.id, (index) => ({
    index,
    id: customer.id,
    customer,
    band,
    tag: new CompensatedSum(),
    finish: new CompensatedSum(),
    head: -1,
    waiting: 0,
    state: 'dormant',
    queues: [],
  }));

/** A need of a band, without queues. */
export function newNeedClass(key: string, need: Amounts, neverFits: boolean): NeedClass {
  const registry = new Registry<Queue>();
  return {
    key,
    need,
    neverFits,
    queues: new Set(),
    registry,
    reached: new TagHeap(registry),
    ahead: new TagHeap(registry),
  };
}

/** An empty queue of the lane, entered into the registry of its need. */
export const newQueue = (lane: Lane, needClass: NeedClass): Queue =>
  needClass.registry.add(lane.id, (index) => ({
    index,
    id: lane.id,
    lane,
    needClass,
    rows: [],
    keys: [],
    heap: undefined,
  }));

/** True when the customer may start nothing now: it is paused, or runs its `maximumRunning`. */
export function isBlocked({ share, running }: Customer): boolean {
  return (
    share !== undefined && (share.paused === true || running >= (share.maximumRunning ?? Number.POSITIVE_INFINITY))
  );
}

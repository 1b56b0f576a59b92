/**
 * Batches over Postgres, each reading a few customers, admit what the algorithm would that knows everything: the same
 * Agendas, in the same order, with the same tags, under random submissions, cancels, ends, changed weights, caps,
 * pauses and bands. Each case names its seed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createAlgorithm,
  type Decision,
  type FairShareState,
  type Resources,
  type Scheduler,
} from '../../scheduling/index.ts';
import { keyOfNeed } from '../../scheduling/need.ts';
import { Random } from '../../scheduling/simulator/random.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, freshId, type TestInsight } from '../../test/support/test-records.ts';
import { customer } from '../schema.ts';
import { admitBatch } from './admit-batch.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

interface Case {
  readonly algorithm: string;
  readonly seed: number;
  readonly customers: number;
  readonly maximumRunning: number;
  readonly steps: number;
  readonly capacity?: Resources;
  readonly needs?: readonly Resources[];
  readonly bands?: number;
  readonly costModel?: 'count' | 'slots';
}

const oneSlot: readonly Resources[] = [{ slots: 1 }];

class Comparison {
  readonly #case: Case;
  readonly #random: Random;
  readonly #whole: Scheduler;
  readonly #ids: string[];
  readonly #waiting = new Map<string, { customerId: string; need: Resources; priority: number }>();
  readonly #running = new Map<string, Resources>();
  readonly #insight: TestInsight;
  #added = 0;
  #time = 1_700_000_000;

  private constructor(given: Case, target: TestInsight, ids: string[]) {
    this.#case = given;
    this.#insight = target;
    this.#ids = ids;
    this.#random = new Random(given.seed);
    this.#whole = createAlgorithm(given.algorithm, {
      priorityStep: 60,
      floor: 4,
      maximumRunning: given.maximumRunning,
      ...(given.capacity === undefined ? {} : { capacity: given.capacity }),
    });
  }

  static async begin(given: Case): Promise<Comparison> {
    const target = await addInsight(database, {
      queueSize: 100_000,
      maximumRunning: given.maximumRunning,
      schedulingAlgorithm: given.algorithm,
    });
    await database.$client`update insight set cost_model = ${given.costModel ?? 'count'}, priority_step = 60,
      floor = 4 where id = ${target.insightId}`;
    await database.$client`update resource_pool
      set capacity = ${given.capacity === undefined ? null : JSON.stringify(given.capacity)}::text::json
      where id = ${target.resourcePoolId}`;
    const ids = Array.from({ length: given.customers }, (_, n) => `${target.insightId}-${String(n).padStart(3, '0')}`);
    for (const id of ids) {
      await database
        .insert(customer)
        .values({ id, cid: 'test', customerId: id, title: id, resourcePoolId: target.resourcePoolId });
    }
    const comparison = new Comparison(given, target, ids);
    for (const id of ids) await comparison.#setCustomer(id, true);
    return comparison;
  }

  /** Something happens, then a batch. */
  async step(): Promise<void> {
    const random = this.#random;
    // Ends first: so does a batch.
    const ends = [...this.#running.keys()].filter(() => random.chance(0.4));
    for (const id of ends) await this.#end(id);
    for (let n = random.whole(0, 12); n > 0; n--) await this.#add();
    if (random.chance(0.3) && this.#waiting.size > 0) await this.#cancel(random.pick([...this.#waiting.keys()]));
    if (random.chance(0.3) && this.#waiting.size > 0) await this.#reprioritise(random.pick([...this.#waiting.keys()]));
    if (random.chance(0.3)) await this.#setCustomer(random.pick(this.#ids), false);
    await this.#batch();
  }

  async #add(): Promise<void> {
    const { insightId, resourcePoolId } = this.#insight;
    const random = this.#random;
    const id = `${insightId}-a${String(++this.#added).padStart(6, '0')}`;
    // A few customers have most of the work; their Agendas are seldom of the same age.
    const customerId = random.chance(0.5) ? (this.#ids[0] as string) : random.pick(this.#ids);
    const need = random.pick(this.#case.needs ?? oneSlot);
    const priority = random.pick([0, 0, 0, 1, -2]);
    const cost = this.#case.costModel === 'slots' ? (need.slots ?? 1) : 1;
    const readyTime = this.#time + random.whole(0, 40);
    this.#time += 1;
    await database.$client`
      with waits as (
        insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, ready_time,
          moved_time, priority, need)
        values (${id}, ${insightId}, ${resourcePoolId}, ${customerId}, 1, to_timestamp(${readyTime}),
          to_timestamp(${readyTime}), ${priority}, ${keyOfNeed(need)}))
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      values (${insightId}, ${customerId}, 'ready', 0, ${keyOfNeed(need)}, ${priority})`;
    this.#whole.add({ id, customerId, readyTime, priority, need, cost });
    this.#waiting.set(id, { customerId, need, priority });
  }

  async #cancel(id: string): Promise<void> {
    await database.$client`
      with gone as (delete from ready_agenda where agenda_id = ${id} returning *)
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority, agenda_id)
      select insight_id, customer_id, 'gone', promoted, need, priority, agenda_id from gone`;
    this.#whole.remove(id);
    this.#waiting.delete(id);
  }

  async #reprioritise(id: string): Promise<void> {
    const priority = this.#random.whole(-3, 3);
    await database.$client`
      with changed as (update ready_agenda set priority = ${priority} where agenda_id = ${id} returning *)
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      select insight_id, customer_id, 'ready', promoted, need, priority from changed`;
    this.#whole.reprioritise(id, priority);
  }

  async #end(id: string): Promise<void> {
    await database.$client`
      with ended as (delete from running_agenda where agenda_id = ${id} returning *)
      insert into settlement (insight_id, customer_id, kind, agenda_id, attempt)
      select insight_id, customer_id, 'ended', agenda_id, attempt from ended`;
    this.#whole.finish(id);
    this.#running.delete(id);
  }

  async #setCustomer(id: string, first: boolean): Promise<void> {
    const random = this.#random;
    const weight = random.spread(0.25, 16);
    const maximumRunning = random.chance(0.2) ? random.whole(1, 3) : undefined;
    const paused = !first && random.chance(0.2);
    const band = random.whole(0, (this.#case.bands ?? 1) - 1);
    await database.$client`
      update customer
      set weight = ${weight}, maximum_running = ${maximumRunning ?? null}, paused = ${paused}, band = ${band}
      where id = ${id}`;
    await database.$client`insert into settlement (insight_id, customer_id, kind) values (${this.#insight.insightId},
      ${id}, 'changed')`;
    this.#whole.setCustomer({ id, weight, band, paused, ...(maximumRunning === undefined ? {} : { maximumRunning }) });
  }

  async #batch(): Promise<void> {
    const { insightId } = this.#insight;
    const expected = this.#decide();
    const batchIds: string[] = [];
    // A batch may end early when what it read does not tell more; the next goes on.
    for (let more = true; more; ) {
      expect(batchIds.length, 'batches until there is no more').toBeLessThan(20);
      const batchId = freshId('batch');
      const answer = await admitBatch(database, { insightId, batchId });
      batchIds.push(batchId);
      more = answer.more;
    }
    const rows = await database.$client<{ id: string; number: number }[]>`
      select a.agenda_id as id, a.number::int as number from admission a where batch_id = any(${batchIds})
        order by number`;
    const message = `seed ${this.#case.seed}, after ${this.#added} Agendas`;
    expect(
      [...rows].map(({ id }) => id),
      message,
    ).toEqual(expected.map(({ id }) => id));
    expect(
      [...rows].map(({ number }) => number),
      message,
    ).toEqual(expected.map(({ number }) => number));
    for (const { id } of expected) {
      this.#running.set(id, this.#waiting.get(id)?.need as Resources);
      this.#waiting.delete(id);
    }
    await this.#compareTags(message);
  }

  #decide(): Decision[] {
    const free: Record<string, number> = { ...this.#case.capacity };
    for (const need of this.#running.values()) take(free, need);
    const decisions: Decision[] = [];
    this.#whole.begin(this.#case.maximumRunning - this.#running.size);
    for (;;) {
      const decision = this.#whole.next(free, this.#time + 1_000_000);
      if (decision === undefined) return decisions;
      take(free, this.#waiting.get(decision.id)?.need as Resources);
      decisions.push(decision);
    }
  }

  /** Clocks, sums of weights and the tags of those that count. */
  async #compareTags(message: string): Promise<void> {
    const { algorithm } = this.#case;
    if (algorithm !== 'Fairness' && algorithm !== 'Priority') return;
    const { bands } = this.#whole.snapshot().state as unknown as FairShareState;
    const { insightId } = this.#insight;
    const clocks = await database.$client<{ level: number; clock: number; total: number; members: number }[]>`
      select level, clock, total, members from insight_band where insight_id = ${insightId} and members > 0
        order by level`;
    const lanes = await database.$client<{ id: string; level: number; tag: number }[]>`
      select customer_id as id, level, tag from customer_lane
        where insight_id = ${insightId} and state = 'active' order by level, customer_id`;
    const members = bands.map(({ level, clock, total, lanes: all }) => {
      const counted = all.filter(({ state }) => state !== 'dormant').length;
      return { level, clock: clock[0], total: total[0], members: counted };
    });
    expect([...clocks], message).toEqual(
      members
        .filter((band) => band.members > 0)
        .map((band) => ({ ...band, clock: expect.closeTo(band.clock, 6), total: expect.closeTo(band.total, 6) })),
    );
    const active = bands.flatMap(({ level, lanes: all }) =>
      all
        .filter(({ state }) => state === 'active')
        .map(({ customerId, tag }) => ({ id: customerId, level, tag: expect.closeTo(tag[0], 6) })),
    );
    expect([...lanes], message).toEqual(active.toSorted((a, b) => a.level - b.level || (a.id < b.id ? -1 : 1)));
  }
}

function take(free: Record<string, number>, need: Resources): void {
  for (const [name, amount] of Object.entries(need)) if (free[name] !== undefined) free[name] -= amount;
}

const cases: readonly Case[] = [
  { algorithm: 'Fairness', seed: 1, customers: 5, maximumRunning: 4, steps: 60 },
  { algorithm: 'Fairness', seed: 2, customers: 60, maximumRunning: 5, steps: 60 },
  { algorithm: 'Fairness', seed: 3, customers: 30, maximumRunning: 12, steps: 60, capacity: { slots: 8 } },
  { algorithm: 'Priority', seed: 4, customers: 20, maximumRunning: 6, steps: 60 },
  { algorithm: 'Priority', seed: 5, customers: 20, maximumRunning: 6, steps: 60, bands: 3 },
  { algorithm: 'FirstInFirstOut', seed: 6, customers: 30, maximumRunning: 5, steps: 60 },
  { algorithm: 'RoundRobin', seed: 7, customers: 12, maximumRunning: 5, steps: 60 },
  {
    algorithm: 'Fairness',
    seed: 8,
    customers: 12,
    maximumRunning: 50,
    steps: 60,
    capacity: { slots: 10, cpu: 16 },
    costModel: 'slots',
    needs: [{ slots: 1 }, { slots: 3 }, { slots: 1, cpu: 6 }],
  },
  {
    algorithm: 'Priority',
    seed: 9,
    customers: 12,
    maximumRunning: 50,
    steps: 60,
    bands: 2,
    capacity: { slots: 10 },
    costModel: 'slots',
    needs: [{ slots: 1 }, { slots: 7 }],
  },
  {
    algorithm: 'RoundRobin',
    seed: 10,
    customers: 8,
    maximumRunning: 100,
    steps: 60,
    capacity: { slots: 10 },
    costModel: 'slots',
    needs: [{ slots: 1 }, { slots: 7 }],
  },
];

describe('batches decide as the whole algorithm would', () => {
  test.each(cases)('$algorithm, $customers customers, $maximumRunning at once, seed $seed', async (given) => {
    const comparison = await Comparison.begin(given);
    for (let step = 0; step < given.steps; step++) await comparison.step();
  });
});

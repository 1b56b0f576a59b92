/**
 * The record that admission is measured on: one pool, one Insight, many customers of weights 1 to 10, and as many
 * waiting Agendas as wanted.
 */
import type { Database } from '../db/connect.ts';

/** How the record is made. */
export interface RecordOptions {
  readonly poolId: string;
  readonly customers: number;
  /** Distinct needs, all of one slot. */
  readonly needs: number;
  /** Distinct priorities of waiting Agendas. */
  readonly priorities: number;
}

/** What its Insight admits by. */
export interface InsightSettings {
  readonly schedulingAlgorithm: string;
  readonly costModel: string;
}

/** More than any measurement admits, so that it is no limit, and yet a capacity to take shares of. */
const manySlots = 100_000;
/** Waiting Agendas of each customer that have an Operation and could be run: far more than are started. */
const runnablePerCustomer = 5;

/** Fills, empties and reads it; all statements go straight to the tables. */
export class WaitingRecord {
  readonly insightId = 'bench-admission';
  readonly #sql: Database['$client'];
  readonly #options: RecordOptions;
  #depth = 0;

  /** @param database With one connection, so that what it counts is known. */
  constructor(database: Database, options: RecordOptions) {
    this.#sql = database.$client;
    this.#options = options;
  }

  get depth(): number {
    return this.#depth;
  }

  async prepare(): Promise<void> {
    const sql = this.#sql;
    const { poolId, customers } = this.#options;
    await sql`
      insert into resource_pool (id, cid, customer_id, title, capacity)
      values (${poolId}, 'bench', 'bench', 'bench', ${JSON.stringify({ slots: manySlots })}::text::json)`;
    await sql`
      insert into customer (id, cid, customer_id, title, resource_pool_id, weight)
      select 'customer-' || lpad(n::text, 6, '0'), 'bench', 'bench', 'bench', ${poolId}, 1 + n % 10
      from generate_series(0, ${customers - 1}::int) n`;
    await sql`
      insert into insight (id, cid, customer_id, title, resource_pool_id, queue_size, mappers, is_global)
      values (${this.insightId}, 'bench', 'bench', 'bench', ${poolId}, 0, '{"always":[]}', true)`;
    await sql`insert into insight_wake (insight_id) values (${this.insightId})`;
    // What waits at first, kept aside so that the record can be made anew.
    await sql`create unlogged table bench_waiting (like ready_agenda including defaults, progress_id text, number int)`;
    await sql`create unique index on bench_waiting (agenda_id)`;
  }

  /** Adds Agendas until so many wait, customer by customer in turn, a millisecond apart. */
  async fillTo(depth: number): Promise<void> {
    const sql = this.#sql;
    const { poolId, customers, needs, priorities } = this.#options;
    const [from, to] = [this.#depth, depth - 1];
    await sql`
      insert into bench_waiting (number, agenda_id, progress_id, insight_id, resource_pool_id, customer_id, attempt,
        ready_time, moved_time, priority, need, agenda_type)
      select n, uuidv7()::text, uuidv7()::text, ${this.insightId}, ${poolId},
        'customer-' || lpad((n % ${customers}::int)::text, 6, '0'), 1,
        ready.time, ready.time, n / ${customers}::int % ${priorities}::int,
        '1,0,' || n / ${customers}::int % ${needs}::int || ',0', 'noOp×1'
      from generate_series(${from}::int, ${to}::int) n,
        lateral (
          select date_trunc('day', clock_timestamp()) - interval '1 day' + n * interval '1 millisecond' as time) ready`;
    await sql`
      insert into agenda (id, cid, customer_id, added_time, updated_time, progress_id, insight_id, resource_pool_id,
        priority)
      select agenda_id, 'bench', customer_id, ready_time, ready_time, progress_id, insight_id, resource_pool_id,
        priority
      from bench_waiting where number >= ${from}`;
    await sql`
      insert into agenda_progress (id, cid, customer_id, added_time, updated_time, agenda_id)
      select progress_id, 'bench', customer_id, ready_time, ready_time, agenda_id
      from bench_waiting where number >= ${from}`;
    const runnable = runnablePerCustomer * customers;
    await sql`
      insert into operation (agenda_id, index, name, type)
      select agenda_id, 0, 'only', 'noOp' from bench_waiting where number >= ${from} and number < ${runnable}`;
    await sql`
      insert into operation_progress (agenda_id, index, id, agenda_progress_id, customer_id, cid, operation)
      select agenda_id, 0, progress_id || '-only', progress_id, customer_id, 'bench', 'only'
      from bench_waiting where number >= ${from} and number < ${runnable}`;
    this.#depth = depth;
    await sql`vacuum analyze agenda, agenda_progress, operation, operation_progress, customer, bench_waiting`;
  }

  /**
   * Everything waits again as at first, nothing runs, and admission remembers nothing: each queue is to be taken in.
   */
  async reset({ schedulingAlgorithm, costModel }: InsightSettings): Promise<void> {
    const sql = this.#sql;
    await sql`
      truncate running_agenda, waiting_queue, customer_lane, insight_band, insight_state, resource_pool_state,
        settlement, admission, admission_batch, learned_duration, event`;
    await sql`
      delete from ready_agenda r using bench_waiting b where b.agenda_id = r.agenda_id and b.attempt <> r.attempt`;
    await sql`
      insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, ready_time, priority,
        need, agenda_type, moved_time)
      select agenda_id, insight_id, resource_pool_id, customer_id, attempt, ready_time, priority,
        need, agenda_type, moved_time
      from bench_waiting b where not exists (select from ready_agenda r where r.agenda_id = b.agenda_id)
      order by number`;
    await sql`
      update agenda_progress set processing_state = 'WAITING', processing_state_message = 'pending'
      where processing_state <> 'WAITING'`;
    await sql`
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      select distinct insight_id, customer_id, 'ready', promoted, need, priority from ready_agenda`;
    await sql`
      update insight
      set scheduling_algorithm = ${schedulingAlgorithm}, cost_model = ${costModel}, queue_size = ${manySlots}
      where id = ${this.insightId}`;
    await sql`vacuum analyze ready_agenda, settlement, insight`;
    await sql`checkpoint`;
  }

  /** Leaves room for so many Agendas; the next batch reads it. */
  async limit(queueSize: number): Promise<void> {
    await this.#sql`update insight set queue_size = ${queueSize} where id = ${this.insightId}`;
  }

  /** Tells admission, as the api does, that settings of the whole Insight are other ones. */
  async changeSettings(): Promise<void> {
    await this.#sql`insert into settlement (insight_id, kind) values (${this.insightId}, 'changed')`;
  }

  /**
   * The oldest that run succeed, after 30 to 90 seconds, and as many new ones are submitted: what admission finds in a
   * system that goes on.
   */
  async replace(most: number): Promise<void> {
    await this.#sql`
      with ended as (
        delete from running_agenda where agenda_id in (
          select agenda_id from running_agenda where insight_id = ${this.insightId}
          order by admitted_time limit ${most})
        returning *),
      succeeded as (
        update agenda_progress p set processing_state = 'COMPLETE', processing_state_message = 'succeeded'
        from ended e where p.agenda_id = e.agenda_id),
      told as (
        insert into settlement (insight_id, customer_id, kind, agenda_id, attempt, time)
        select e.insight_id, e.customer_id, 'ended', e.agenda_id, e.attempt,
          e.admitted_time + make_interval(secs => 30 + b.number * 7 % 60)
        from ended e join bench_waiting b using (agenda_id)),
      submitted as (
        insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, priority, need,
          agenda_type)
        select e.agenda_id, e.insight_id, e.resource_pool_id, e.customer_id, e.attempt + 1, b.priority, b.need,
          b.agenda_type
        from ended e join bench_waiting b using (agenda_id)
        returning *)
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      select insight_id, customer_id, 'ready', promoted, need, priority from submitted`;
  }

  async unsettled(): Promise<number> {
    const [row] = await this.#sql<
      { count: number }[]
    >`select count(*)::int as count from settlement where insight_id = ${this.insightId}`;
    return row?.count ?? 0;
  }

  /** Oldest first. */
  async running(): Promise<{ agendaId: string; attempt: number }[]> {
    return this.#sql<{ agendaId: string; attempt: number }[]>`
      select agenda_id as "agendaId", attempt
      from running_agenda where insight_id = ${this.insightId} order by admitted_time`;
  }

  async countRunning(): Promise<{ all: number; started: number }> {
    const [row] = await this.#sql<{ all: number; started: number }[]>`
      select count(*)::int as all, count(started_time)::int as started
      from running_agenda where insight_id = ${this.insightId}`;
    return row ?? { all: 0, started: 0 };
  }

  /** Has Postgres count now what this connection read, not in the middle of a measurement. */
  async flushCounts(): Promise<void> {
    await this.#sql`select pg_stat_force_next_flush()`;
  }

  /** Some that wait, spread over the whole queue. */
  async someWaiting(count: number): Promise<string[]> {
    const rows = await this.#sql<{ id: string }[]>`
      select b.agenda_id as id from bench_waiting b join ready_agenda r using (agenda_id)
      where b.number % ${Math.max(1, Math.floor(this.#depth / (2 * count)))}::int = 0 limit ${count}`;
    return rows.map(({ id }) => id);
  }
}

/**
 * What the record says of every Insight, for metrics: depth, oldest wait, what runs, shares. Counts are true at any
 * depth.
 */
import type { Database } from '../connect.ts';
import { laneLag, laneShare } from './lane-standing.ts';

/** What waits in an Insight and what runs through it. */
export interface InsightGauges {
  readonly insightId: string;
  readonly title: string;
  readonly waiting: number;
  /** 0 when nothing waits. */
  readonly oldestWaitSeconds: number;
  readonly running: number;
  /** Of these, those no pool worker has started yet. */
  readonly unstarted: number;
}

/** A customer with work in an Insight that shares by weight. */
export interface CustomerGauges {
  readonly insightId: string;
  readonly customerId: string;
  readonly share: number;
  readonly lag: number;
}

/** All Insights, and the customers that were asked for. */
export interface Gauges {
  readonly insights: readonly InsightGauges[];
  readonly customers: readonly CustomerGauges[];
}

/** Reads them, of `mostCustomers` of each Insight, those of the largest weight first. */
export async function readGauges(database: Database, { mostCustomers }: { mostCustomers: number }): Promise<Gauges> {
  const sql = database.$client;
  const [insights, customers] = await Promise.all([
    sql<InsightGauges[]>`
      /* metrics: Insights */
      select
        i.id as "insightId",
        i.title,
        coalesce(w.waiting, 0) as waiting,
        coalesce(r.running, 0) as running,
        coalesce(r.unstarted, 0) as unstarted,
        coalesce(greatest(0, extract(epoch from clock_timestamp() - o.ready_time)), 0)::float8 as "oldestWaitSeconds"
      from insight i
        left join (
          select insight_id, count(*)::int as waiting from ready_agenda group by insight_id
        ) w on w.insight_id = i.id
        left join (
          select
            insight_id,
            count(*)::int as running,
            count(*) filter (where left_queue_time is null)::int as unstarted
          from running_agenda group by insight_id
        ) r on r.insight_id = i.id
        left join lateral (
          select ready_time from ready_agenda where insight_id = i.id order by ready_time limit 1
        ) o on w.waiting > 0
      order by i.id`,
    mostCustomers === 0
      ? []
      : sql<CustomerGauges[]>`
      /* metrics: customers */
      select "insightId", "customerId", share, lag from (
        select
          l.insight_id as "insightId",
          l.customer_id as "customerId",
          ${laneShare(sql)} as share,
          ${laneLag(sql)} as lag,
          row_number() over (partition by l.insight_id order by l.weight desc, l.customer_id, l.level) as number
        from customer_lane l join insight_band b on b.insight_id = l.insight_id and b.level = l.level
        where l.state = 'active') c
      where number <= ${mostCustomers} and share is not null`,
  ]);
  return { insights: [...insights], customers: [...customers] };
}

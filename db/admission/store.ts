/** Writes what a batch changed. */
import type { Statements } from '../connect.ts';
import type { Changes } from './rules-view.ts';
import type { Settings } from './settings.ts';

/** One statement per table, none where nothing changed; not awaited one by one. */
export function storeChanges(
  sql: Statements,
  { insightId }: Settings,
  { bands, lanes, queues, gone }: Changes,
): Promise<unknown>[] {
  const written: Promise<unknown>[] = [];
  if (bands.length > 0) {
    const rows = bands.map(({ level, clock, total, members, sinceLower }) => ({
      ...{ level, clock: clock[0], clock_error: clock[1], total: total[0], total_error: total[1] },
      ...{ members, since_lower: sinceLower },
    }));
    written.push(
      sql`
      /* admitBatch: store bands */
      insert into insight_band (insight_id, level, clock, clock_error, total, total_error, members, since_lower)
      select ${insightId}, b.* from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as b(level int, clock float8, clock_error float8, total float8, total_error float8, members int, since_lower int)
      on conflict (insight_id, level) do update set clock = excluded.clock, clock_error = excluded.clock_error, total = excluded.total,
        total_error = excluded.total_error, members = excluded.members, since_lower = excluded.since_lower`.execute(),
    );
  }
  if (lanes.length > 0) {
    const rows = lanes.map(({ customerId, level, tag, state, weight, band }) => ({
      ...{ customer_id: customerId, level, tag: tag[0], tag_error: tag[1], state, weight, band },
    }));
    written.push(
      sql`
      /* admitBatch: store lanes */
      insert into customer_lane (insight_id, customer_id, level, tag, tag_error, state, weight, band)
      select ${insightId}, l.* from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as l(customer_id text, level int, tag float8, tag_error float8, state text, weight float8, band int)
      on conflict (insight_id, customer_id, level) do update set tag = excluded.tag, tag_error = excluded.tag_error, state = excluded.state,
        weight = excluded.weight, band = excluded.band`.execute(),
    );
  }
  if (queues.length > 0) {
    const rows = queues.map(({ customerId, promoted, need, priorities, level, active, start, finish, headMoved }) => ({
      ...{
        customer_id: customerId,
        promoted,
        need,
        priorities: `{${priorities.join()}}`,
        level,
        active,
        start,
        finish,
        head_moved: headMoved,
      },
    }));
    written.push(
      sql`
      /* admitBatch: store queues */
      insert into waiting_queue (insight_id, customer_id, promoted, need, priorities, level, active, start, finish, head_moved_time)
      select ${insightId}, q.customer_id, q.promoted, q.need, q.priorities::int[], q.level, q.active, q.start, q.finish, to_timestamp(q.head_moved)
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as q(customer_id text, promoted int, need text, priorities text, level int,
        active boolean, start float8, finish float8, head_moved float8)
      on conflict (insight_id, customer_id, promoted, need) do update set priorities = excluded.priorities, level = excluded.level,
        active = excluded.active, start = excluded.start, finish = excluded.finish, head_moved_time = excluded.head_moved_time`.execute(),
    );
  }
  if (gone.length > 0) {
    written.push(
      sql`
      /* admitBatch: drop queues */
      delete from waiting_queue q
      using json_to_recordset(${JSON.stringify(gone)}::text::json) as g("customerId" text, promoted int, need text)
      where q.insight_id = ${insightId} and q.customer_id = g."customerId" and q.promoted = g.promoted and q.need = g.need`.execute(),
    );
  }
  return written;
}

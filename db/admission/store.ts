/** Writes what a batch changed. */
import type { Statements } from '../connect.ts';
import type { Changes } from './rules-view.ts';
import type { Settings } from './settings.ts';

/** One statement per table, none where nothing changed; not awaited one by one. */
export const storeChanges = (
  sql: Statements,
  { insightId }: Settings,
  { bands, lanes, queues, gone }: Changes,
): Promise<unknown>[] => [
  ...(bands.length > 0 ? [storeBands(sql, insightId, bands)] : []),
  ...(lanes.length > 0 ? [storeLanes(sql, insightId, lanes)] : []),
  ...(queues.length > 0 ? [storeQueues(sql, insightId, queues)] : []),
  ...(gone.length > 0 ? [dropQueues(sql, insightId, gone)] : []),
];

function storeBands(sql: Statements, insightId: string, bands: Changes['bands']): Promise<unknown> {
  const rows = bands.map(({ clock: [clock, clockError], total: [total, totalError], ...band }) => ({
    ...band,
    clock,
    clockError,
    total,
    totalError,
  }));
  return sql`
    /* admitBatch: store bands */
    insert into insight_band (insight_id, level, clock, clock_error, total, total_error, members, since_lower)
    select ${insightId}, b.* from json_to_recordset(${JSON.stringify(rows)}::text::json) as b(
      level int,
      clock float8,
      "clockError" float8,
      total float8,
      "totalError" float8,
      members int,
      "sinceLower" int)
    on conflict (insight_id, level) do update set
      clock = excluded.clock,
      clock_error = excluded.clock_error,
      total = excluded.total,
      total_error = excluded.total_error,
      members = excluded.members,
      since_lower = excluded.since_lower`.execute();
}

function storeLanes(sql: Statements, insightId: string, lanes: Changes['lanes']): Promise<unknown> {
  const rows = lanes.map(({ tag: [tag, tagError], ...lane }) => ({ ...lane, tag, tagError }));
  return sql`
    /* admitBatch: store lanes */
    insert into customer_lane (insight_id, customer_id, level, tag, tag_error, state, weight, band)
    select ${insightId}, l.* from json_to_recordset(${JSON.stringify(rows)}::text::json) as l(
      "customerId" text,
      level int,
      tag float8,
      "tagError" float8,
      state text,
      weight float8,
      band int)
    on conflict (insight_id, customer_id, level) do update set
      tag = excluded.tag,
      tag_error = excluded.tag_error,
      state = excluded.state,
      weight = excluded.weight,
      band = excluded.band`.execute();
}

function storeQueues(sql: Statements, insightId: string, queues: Changes['queues']): Promise<unknown> {
  const rows = queues.map(({ priorities, ...queue }) => ({ ...queue, priorities: `{${priorities.join()}}` }));
  return sql`
    /* admitBatch: store queues */
    insert into waiting_queue (
      insight_id, customer_id, promoted, need, priorities, level, active, start, finish, head_moved_time)
    select
      ${insightId},
      q."customerId",
      q.promoted,
      q.need,
      q.priorities::int[],
      q.level,
      q.active,
      q.start,
      q.finish,
      to_timestamp(q."headMoved")
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as q(
      "customerId" text,
      promoted int,
      need text,
      priorities text,
      level int,
      active boolean,
      start float8,
      finish float8,
      "headMoved" float8)
    on conflict (insight_id, customer_id, promoted, need) do update set
      priorities = excluded.priorities,
      level = excluded.level,
      active = excluded.active,
      start = excluded.start,
      finish = excluded.finish,
      head_moved_time = excluded.head_moved_time`.execute();
}

function dropQueues(sql: Statements, insightId: string, gone: Changes['gone']): Promise<unknown> {
  return sql`
    /* admitBatch: drop queues */
    delete from waiting_queue q
    using json_to_recordset(${JSON.stringify(gone)}::text::json) as g("customerId" text, promoted int, need text)
    where q.insight_id = ${insightId} and q.customer_id = g."customerId"
      and q.promoted = g.promoted and q.need = g.need`.execute();
}

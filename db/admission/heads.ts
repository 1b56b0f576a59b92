/**
 * The first waiting Agendas of queues, as admission and those who only look read them: one list of columns, one way to
 * read on.
 */
import type { Sql, Statements } from '../connect.ts';
import type { LoadedCustomer, StoredQueue } from './customers.ts';

/** A waiting Agenda, with what its cost and its position depend on; times in epoch seconds. */
export interface Head {
  readonly agendaId: string;
  readonly attempt: number;
  readonly readyTime: number;
  /** As the database writes it: to go on behind this one. */
  readonly readyAt: string;
  readonly movedTime: number;
  readonly agendaType: string;
  readonly declaredSeconds: number | null;
  /** Seconds learned of its type for its customer. */
  readonly ofCustomer: number | null;
  /** Seconds learned of its type for all customers. */
  readonly ofType: number | null;
}

/** A waiting Agenda with the queue it stands in. */
export interface WaitingRow extends Head {
  readonly customerId: string;
  readonly priority: number;
  readonly need: string;
  readonly promoted: number;
}

/** The first Agendas of one priority in a queue. */
export interface Heads {
  readonly priority: number;
  readonly items: Head[];
  /** There may be others behind these. */
  more: boolean;
}

/** Columns of a Head, of `ready_agenda r` with `joinLearned`. */
export const headColumns = (sql: Sql) => sql`
  r.agenda_id as "agendaId",
  r.attempt,
  extract(epoch from r.ready_time)::float8 as "readyTime",
  r.ready_time::text as "readyAt",
  extract(epoch from r.moved_time)::float8 as "movedTime",
  r.agenda_type as "agendaType",
  r.expected_seconds as "declaredSeconds",
  own.seconds as "ofCustomer",
  alike.seconds as "ofType"`;

/** Columns of a WaitingRow, of `ready_agenda r` with `joinLearned`. */
export const waitingColumns = (sql: Sql) => sql`
  ${headColumns(sql)},
  r.customer_id as "customerId",
  r.priority,
  r.need,
  r.promoted`;

/**
 * Joins what was learned of durations to `ready_agenda r`, all of one Insight; `insightId` is its id or an expression
 * of it.
 */
export const joinLearned = (sql: Sql, insightId: string | ReturnType<Sql>) => sql`
  left join learned_duration own
    on own.insight_id = ${insightId} and own.agenda_type = r.agenda_type and own.customer_id = r.customer_id
  left join learned_duration alike
    on alike.insight_id = ${insightId} and alike.agenda_type = r.agenda_type and alike.customer_id = ''`;

/** Names a queue of a customer; see `StoredQueue`. */
export const queueKey = ({ promoted, need }: { readonly promoted: number; readonly need: string }): string =>
  `${promoted} ${need}`;

/** Notes that Agendas of this kind may wait, so that its heads are read. */
export function expectHeads(
  customer: LoadedCustomer,
  kind: { promoted: number; need: string; priority: number },
): void {
  const known = customer.queues.get(queueKey(kind));
  if (known?.heads.some(({ priority }) => priority === kind.priority)) return;
  const heads = { priority: kind.priority, items: [], more: true };
  if (known === undefined) customer.queues.set(queueKey(kind), { ...newQueue(customer.id, kind), heads: [heads] });
  else known.heads.push(heads);
}

/** A queue that admission has not written yet. */
const newQueue = (
  customerId: string,
  { promoted, need }: { promoted: number; need: string },
): Omit<StoredQueue, 'heads'> => ({
  customerId,
  promoted,
  need,
  level: 0,
  active: false,
  start: 0,
  finish: 0,
  headMoved: null,
  priorities: [],
});

/** So many more Agendas of one priority in a queue. */
export interface HeadsWanted {
  readonly queue: StoredQueue;
  readonly heads: Heads;
  readonly most: number;
}

interface HeadRow extends Head {
  readonly n: number;
}

/** Reads on behind what is known; what was read is added, and returned with its index in `wanted`. */
export async function readHeads(
  sql: Statements,
  insightId: string,
  wanted: readonly HeadsWanted[],
): Promise<{ readonly wanted: number; readonly head: Head }[]> {
  if (wanted.length === 0) return [];
  const last = wanted.map(({ heads }) => heads.items.at(-1));
  const rows = await sql<HeadRow[]>`
    /* admitBatch: heads */
    select w.n::int, ${headColumns(sql)}
    from unnest(
        ${wanted.map(({ queue }) => queue.customerId)}::text[],
        ${wanted.map(({ queue }) => queue.promoted)}::int[],
        ${wanted.map(({ queue }) => queue.need)}::text[],
        ${wanted.map(({ heads }) => heads.priority)}::int[],
        ${last.map((head) => head?.readyAt ?? '-infinity')}::text[]::timestamptz[],
        ${last.map((head) => head?.agendaId ?? '')}::text[],
        ${wanted.map(({ most }) => most)}::int[]
      ) with ordinality as w(customer_id, promoted, need, priority, after_time, after_id, most, n)
      cross join lateral (
        select agenda_id, customer_id, attempt, ready_time, moved_time, agenda_type, expected_seconds
        from ready_agenda
        where is_due and insight_id = ${insightId}
          and customer_id = w.customer_id and promoted = w.promoted and need = w.need and priority = w.priority
          and (ready_time, agenda_id) > (w.after_time, w.after_id)
        order by ready_time, agenda_id limit w.most) r
      ${joinLearned(sql, insightId)}
    order by w.n, r.ready_time, r.agenda_id`;
  const counts = new Map<number, number>();
  const read = rows.map(({ n, ...head }) => {
    (wanted[n - 1] as HeadsWanted).heads.items.push(head);
    counts.set(n, (counts.get(n) ?? 0) + 1);
    return { wanted: n - 1, head };
  });
  wanted.forEach(({ heads, most }, index) => {
    heads.more = (counts.get(index + 1) ?? 0) === most;
  });
  return read;
}

/**
 * Of each queue what its customer takes when `most` are shared by weight, twice, so that it seldom has to be read on.
 */
export function firstHeads(customers: ReadonlyMap<string, LoadedCustomer>, most: number): HeadsWanted[] {
  let weights = 0;
  for (const { weight } of customers.values()) weights += weight;
  return [...customers.values()].flatMap(({ queues, weight }) =>
    [...queues.values()].flatMap((queue) =>
      queue.heads.map((heads) => ({
        queue,
        heads,
        most: Math.min(most, Math.ceil((2 * most * weight) / weights)) + 2,
      })),
    ),
  );
}

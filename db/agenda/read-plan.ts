/**
 * What a walker needs to know of an Agenda: once what holds for all of it, and its Operations in pieces, for they may
 * be many.
 */
import type { OperationTimeout } from '../../agenda/types.ts';
import type { Database } from '../connect.ts';

/** What holds for the whole Agenda; the weight is its customer's in its Insight. */
export interface PlanHead {
  readonly customerId: string;
  readonly weight: number;
  readonly parallelism: number | null;
}

/** @throws when the record has no such Agenda. */
export async function readPlanHead(database: Database, agendaId: string): Promise<PlanHead> {
  const [head] = await database.$client<PlanHead[]>`
    /* readPlan: Agenda */
    select a.customer_id as "customerId", a.parallelism,
      coalesce((i.customers->a.customer_id->>'weight')::float8, c.weight, 1) as weight
    from agenda a left join insight i on i.id = a.insight_id left join customer c on c.id = a.customer_id
    where a.id = ${agendaId}`;
  if (head === undefined) throw new Error(`Agenda ${agendaId} is not in the record`);
  return head;
}

/** An Operation as a plan has it. */
export interface PlannedOperation {
  readonly index: number;
  readonly name: string;
  readonly type: string;
  /** Of the first Operation of a piece only those that the pieces before had not. */
  readonly dependencies: readonly number[];
  readonly timeout: OperationTimeout | null;
  readonly state: string;
  readonly message: string;
  /** Index of the last Operation of its Agenda. */
  readonly last: number;
}

/**
 * The Operations of a running attempt from one on, of which the first `dependency` dependencies are known: in
 * declaration order, at most `most.operations`, none after those that have `most.bytes` together. None when the attempt
 * is not the running one.
 */
export async function readPlanned(
  database: Database,
  { agendaId, attempt }: { readonly agendaId: string; readonly attempt: number },
  from: { readonly operation: number; readonly dependency: number },
  most: { readonly operations: number; readonly bytes: number },
): Promise<PlannedOperation[]> {
  return database.$client<PlannedOperation[]>`
    /* readPlan: Operations */
    with portion as (
      select o.index, o.name, o.type, o.timeout,
        case when o.index = ${from.operation}::int then o.dependencies[${from.dependency}::int + 1:]
          else o.dependencies end as dependencies
      from operation o join running_agenda r on r.agenda_id = o.agenda_id and r.attempt = ${attempt}
      where o.agenda_id = ${agendaId} and o.index >= ${from.operation}::int order by o.index limit ${most.operations}),
    measured as (
      select *, sum(octet_length(name) + octet_length(type) + octet_length(dependencies::text))
        over (order by index rows between unbounded preceding and 1 preceding) as "bytesBefore"
      from portion)
    select m.index, m.name, m.type, m.dependencies, m.timeout,
      p.processing_state as state, p.processing_state_message as message,
      (select max(index) from operation where agenda_id = ${agendaId}) as last
    from measured m join operation_progress p on p.agenda_id = ${agendaId} and p.index = m.index
    where coalesce(m."bytesBefore", 0) < ${most.bytes} order by m.index`;
}

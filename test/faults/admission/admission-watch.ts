/**
 * What the record itself tells of admission, noted by triggers: each admission, and at each commit of a batch how many
 * of each customer wait and hold capacity in each Insight. Batches of a pool commit one after the other, so these notes
 * are in the order of the batches.
 */
import type postgres from 'postgres';

/** A customer in an Insight, at a commit. */
export interface Standing {
  readonly insightId: string;
  readonly customerId: string;
  readonly waiting: number;
  readonly running: number;
}

/** A batch that admitted something. */
export interface Batch {
  /** In the order in which capacity was taken. */
  readonly agendaIds: readonly string[];
  /** At its commit. */
  readonly after: readonly Standing[];
}

const triggers = `
  create table fault_watch.admitted (number bigserial, transaction xid8, agenda_id text, attempt integer);
  create table fault_watch.standing (
    number bigserial, transaction xid8, insight_id text, customer_id text, waiting integer, running integer);
  create function fault_watch.note_admitted() returns trigger language plpgsql as $$
    begin
      insert into fault_watch.admitted (transaction, agenda_id, attempt)
        values (pg_current_xact_id(), new.agenda_id, new.attempt);
      return null;
    end $$;
  create trigger note_admitted after insert on public.running_agenda
    for each row execute function fault_watch.note_admitted();
  create function fault_watch.note_standing() returns void language sql as $$
    insert into fault_watch.standing (transaction, insight_id, customer_id, waiting, running)
    select pg_current_xact_id(), i.id, c.id,
      (select count(*) from public.ready_agenda w where w.insight_id = i.id and w.customer_id = c.id and w.is_due),
      (select count(*) from public.running_agenda r where r.insight_id = i.id and r.customer_id = c.id)
    from public.insight i, public.customer c
    where not exists (select from fault_watch.standing s where s.transaction = pg_current_xact_id());
  $$;
  create function fault_watch.note_standing_at_commit() returns trigger language plpgsql as $$
    begin
      perform fault_watch.note_standing();
      return null;
    end $$;
  create constraint trigger note_standing after insert on public.running_agenda
    deferrable initially deferred for each row execute function fault_watch.note_standing_at_commit();`;

/** To be called once, after `RecordWatch.begin`. */
export async function watchAdmission(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(triggers);
}

/** Notes how things stand before the first batch. */
export async function noteStanding(sql: postgres.Sql): Promise<void> {
  await sql`select fault_watch.note_standing()`;
}

/** Forgets all notes. */
export async function forgetBatches(sql: postgres.Sql): Promise<void> {
  await sql`delete from fault_watch.admitted`;
  await sql`delete from fault_watch.standing`;
}

/** The batches since the last call, after the standing that was noted before them. */
export async function takeBatches(
  sql: postgres.Sql,
): Promise<{ readonly before: readonly Standing[]; readonly batches: readonly Batch[] }> {
  const admitted = await sql<{ transaction: string; agendaId: string }[]>`
    with taken as (delete from fault_watch.admitted returning *)
    select transaction, agenda_id as "agendaId" from taken order by number`;
  const standings = await sql<(Standing & { transaction: string })[]>`
    with taken as (delete from fault_watch.standing returning *)
    select transaction, insight_id as "insightId", customer_id as "customerId", waiting, running
    from taken order by number`;
  const inOrder = [...Map.groupBy(standings, ({ transaction }) => transaction)];
  const [first, ...rest] = inOrder.map(([transaction, after]) => ({
    agendaIds: admitted.filter((one) => one.transaction === transaction).map(({ agendaId }) => agendaId),
    after,
  }));
  if (first === undefined || first.agendaIds.length > 0)
    throw new Error('how things stood before the first batch was not noted');
  return { before: first.after, batches: rest };
}

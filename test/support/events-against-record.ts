/** Recounts states from events and compares them with what the record shows. */
import { type RecountedAgenda, type RecountedOperation, recount, untouchedOperation } from '../../agenda/recount.ts';
import type { Database } from '../../db/connect.ts';
import { readEvents } from '../../db/event/read-events.ts';

/** What the record has of an Agenda, in the words of its events, and what else its events must fit to. */
interface Recorded extends RecountedAgenda {
  readonly agendaId: string;
  readonly isHeld: boolean;
}

/**
 * Where events and record differ, of every Agenda that was submitted since there are events: nothing where all is
 * well. For a record at rest, for it is read in more than one look.
 */
export async function eventsAgainstRecord(database: Pick<Database, '$client'>): Promise<string[]> {
  const differences: string[] = [];
  for (const { agendaId, isHeld, ...recorded } of await readRecord(database)) {
    const events = await readEvents(database, agendaId, 0);
    if (events[0]?.kind !== 'agenda.submitted') continue;
    let told: RecountedAgenda;
    try {
      told = recount(events, recorded.operations.length);
    } catch (error) {
      differences.push(`${agendaId}: ${(error as Error).message}`);
      continue;
    }
    if (JSON.stringify(inOrder(told)) !== JSON.stringify(inOrder(recorded)))
      differences.push(`${agendaId}: events tell ${JSON.stringify(told)}, the record has ${JSON.stringify(recorded)}`);
    if (isHeld !== (told.isAdmitted && told.state !== 'COMPLETE'))
      differences.push(
        `${agendaId}: events tell ${JSON.stringify(told)}, and it ${isHeld ? 'holds' : 'does not hold'} a place`,
      );
  }
  return differences;
}

const inOrder = ({ operations, ...agenda }: RecountedAgenda) => [
  Object.entries(agenda).toSorted(([a], [b]) => a.localeCompare(b)),
  operations.map(({ state, outcome, launch, launches }) => [state, outcome, launch, launches]),
];

async function readRecord({ $client: sql }: Pick<Database, '$client'>): Promise<Recorded[]> {
  const agendas = await sql<Omit<Recorded, 'operations'>[]>`
    select g.agenda_id as "agendaId", g.processing_state as state, g.outcome, g.failing,
      coalesce(g.admitted_time, r.admitted_time) is not null as "isAdmitted",
      a.cancel_requested_time is not null as "cancelRequested", r.agenda_id is not null as "isHeld"
    from agenda_progress g join agenda a on a.id = g.agenda_id left join running_agenda r on r.agenda_id = g.agenda_id
    order by g.agenda_id`;
  const operations = await sql<(RecountedOperation & { agendaId: string })[]>`
    select p.agenda_id as "agendaId", p.processing_state as state, p.outcome, coalesce(t.launch, 0) as launch,
      t.launches
    from operation_progress p
    cross join lateral (
      select max(t.launch) as launch, count(*)::int as launches from operation_attempt t
      where t.agenda_id = p.agenda_id and t.index = p.index) t
    order by p.agenda_id, p.index`;
  const byAgenda = Map.groupBy(operations, ({ agendaId }) => agendaId);
  return agendas.map((agenda) => ({
    ...agenda,
    operations: (byAgenda.get(agenda.agendaId) ?? []).map((operation) => ({ ...untouchedOperation, ...operation })),
  }));
}

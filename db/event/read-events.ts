/** What happened to an Agenda, as its events tell. */
import type { RecordedEvent } from '../../agenda/recount.ts';
import type { Database } from '../connect.ts';

/** Events of an Agenda with numbers above `after`, in order. */
export async function readEvents(
  database: Pick<Database, '$client'>,
  agendaId: string,
  after: number,
): Promise<RecordedEvent[]> {
  return database.$client<RecordedEvent[]>`
    /* readEvents: of an Agenda */
    select number, attempt, kind, floor(extract(epoch from time) * 1000)::float8 as time, index, launch,
      operation_attempt as "operationAttempt", outcome, category, code, message
    from event where agenda_id = ${agendaId} and number > ${after} order by number`;
}

/** The Agenda that a request is about. */
import { readAgenda } from '../../db/agenda/read-agenda.ts';
import type { Database } from '../../db/connect.ts';
import { type Access, visibilityOf } from '../auth/authorize.ts';
import { notFound } from '../http/problem.ts';
import type { AgendaRow } from './agenda-view.ts';

/** The Agenda, when there is one that the caller may see. @throws ProblemError 404 */
export async function visibleAgenda(database: Database, access: Access, id: string): Promise<AgendaRow> {
  const row = await readAgenda(database, visibilityOf(access), id);
  if (row === undefined) throw notFound('Agenda', id);
  return row;
}

/**
 * The only place that writes events. Here are paragraphs of statements: the statement that changes a state has one of
 * them, so the change and its events are there together or not at all.
 *
 * Numbers of an Agenda are 1, 2, 3 … without gaps, for whoever writes holds the Agenda: an earlier statement of the
 * same transaction locked its row in `running_agenda` or `ready_agenda`, or where it has neither in `agenda`. So this
 * statement sees every number given before. It has one such paragraph at most.
 */
import type postgres from 'postgres';
import type { AgendaOutcome, EventKind } from '../../agenda/outcomes.ts';
import type { Statements } from '../connect.ts';

/** A query that is part of another. */
type Paragraph = postgres.PendingQuery<postgres.Row[]>;

/** What happens to an Agenda after its submission. */
type AgendaEventKind = Exclude<Extract<EventKind, `agenda.${string}`>, 'agenda.submitted'>;

/** Characters of a message; the whole of it is with the Agenda or Operation. */
export const mostMessageCharacters = 500;

/** One event for each row of `agendas`, a subquery in parentheses that selects `agenda_id, attempt`. */
export const agendaEvents = (
  sql: Statements,
  kind: AgendaEventKind,
  agendas: Paragraph,
  { outcome = null, message = null }: { outcome?: AgendaOutcome | null; message?: string | null } = {},
): Paragraph => sql`
  /* agendaEvents: tell */
  insert into event (agenda_id, number, attempt, kind, outcome, message)
  select h.agenda_id, last.number + 1, h.attempt, ${kind}, ${outcome}, left(${message}::text, ${mostMessageCharacters})
  from ${agendas} h ${lastNumber(sql)}`;

/** The first event of each row of `agendas`, which are new: no number is looked up. */
export const firstEvents = (sql: Statements, agendas: Paragraph): Paragraph => sql`
  /* firstEvents: tell */
  insert into event (agenda_id, number, attempt, kind)
  select h.agenda_id, 1, h.attempt, 'agenda.submitted' from ${agendas} h`;

/**
 * One event for each row of `operations`, a subquery in parentheses; those of one Agenda in the order of their indexes.
 * It selects `agenda_id, attempt, kind, index, launch, operation_attempt, outcome, category, code, message`.
 */
export const operationEvents = (sql: Statements, operations: Paragraph): Paragraph => sql`
  /* operationEvents: tell */
  insert into event (agenda_id, number, attempt, kind, index, launch, operation_attempt,
    outcome, category, code, message)
  select h.agenda_id, last.number + row_number() over (partition by h.agenda_id order by h.index), h.attempt,
    h.kind, h.index, h.launch, h.operation_attempt, h.outcome, h.category, h.code,
    left(h.message, ${mostMessageCharacters})
  from ${operations} h ${lastNumber(sql)}`;

const lastNumber = (sql: Statements): Paragraph => sql`
  cross join lateral (select coalesce(max(e.number), 0) as number from event e where e.agenda_id = h.agenda_id) last`;

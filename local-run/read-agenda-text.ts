/** An Agenda's text as the api takes it: the same limits, the same schema, the same rules, the same words. */
import { FaultList } from '../agenda/fault-list.ts';
import { findJsonFault } from '../agenda/json-position.ts';
import type { Fault } from '../agenda/types.ts';
import { agendaBodySchema } from '../api/agenda/agenda-schema.ts';
import { type CheckedAgenda, readAgenda } from '../api/agenda/check-agenda.ts';
import { parseJson } from '../api/http/json-body.ts';
import { takeOutUnknown } from '../api/http/known-fields.ts';
import { ProblemError } from '../api/http/problem.ts';
import { reusedProgress } from '../db/agenda/submit-answer.ts';

/** What is wrong with an Agenda's text, a line each, ready to be shown. */
export class AgendaFaults extends Error {
  readonly lines: readonly string[];
  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'AgendaFaults';
    this.lines = lines;
  }
}

/** People read all of them; beyond so many there is something else wrong. */
const mostFaultsShown = 1_000;

/**
 * The Agenda that a text holds; `file` is what messages call the text.
 * @throws AgendaFaults naming line and column where it is no JSON, and else every fault with its place
 */
export async function readAgendaText(text: string, file: string): Promise<CheckedAgenda> {
  const body = await parsed(text, file);
  const unknown = takeOutUnknown(agendaBodySchema, body, mostFaultsShown);
  const checked = readAgenda(body, unknown, mostFaultsShown);
  if (checked instanceof FaultList) throw faultsOf(file, checked.first, checked.total);
  if (checked.agenda.progressId !== undefined)
    throw faultsOf(file, reusedProgress.faults, reusedProgress.faults.length);
  return checked;
}

async function parsed(text: string, file: string): Promise<unknown> {
  try {
    return await parseJson(text);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    if (error.code === 'malformedJson') {
      const { line, column, message } = findJsonFault(text);
      throw new AgendaFaults([`${file}:${line}:${column}: not JSON: ${message}`]);
    }
    if (error.errors.length === 0) throw new AgendaFaults([`${file}: ${error.message}`]);
    throw faultsOf(file, error.errors, error.totalErrors);
  }
}

function faultsOf(file: string, first: readonly Fault[], total: number): AgendaFaults {
  const lines = first.map(({ pointer, code, message }) => `${file} ${pointer || '/'}: ${message} (${code})`);
  if (total > first.length) lines.push(`${file}: … and ${total - first.length} more`);
  return new AgendaFaults(lines);
}

/** What people see of a running Agenda in the Temporal Web UI and by query, bounded however many Operations it has. */
import { utf8Bytes } from '../agenda/json-bytes.ts';
import type { Walk } from '../agenda/walk.ts';
import { tableHead, tableRow } from './markdown-table.ts';
import type { AgendaWalkView } from './messages.ts';
import type { WalkPlan } from './whole-plan.ts';

const mostRows = 60;
/** Of the rows; Temporal takes 20,000 bytes, and the rest of the page needs a few hundred. */
const mostBytes = 18_000;
/** Operations that the query answers, and their bytes. */
const mostInView = { rows: 500, bytes: 128 * 1024 };
const order = ['running', 'failed', 'cancelled', 'timedOut', 'abandoned', 'waiting', 'skipped', 'succeeded'];

interface Row {
  readonly name: string;
  readonly type: string;
  readonly state: string;
}

/** Counts per state, then the Operations that matter most first: a table in Markdown. */
export function agendaDetails(plan: WalkPlan, walk: Walk): string {
  const rows = rowsOf(plan, walk);
  const counts = Object.entries(countsOf(rows)).map(([state, count]) => `${count} ${state}`);
  const lines = withinBytes(
    mattering(rows, mostRows).map((row) => tableRow(row.name, row.type, row.state)),
    (line) => utf8Bytes(line) + 1,
    mostBytes,
  );
  const rest = rows.length - lines.length;
  return [
    counts.join(', '),
    '',
    ...tableHead('Operation', 'type', 'state'),
    ...lines,
    ...(rest > 0 ? [`\n… and ${rest} more`] : []),
  ].join('\n');
}

/** The answer of the progress query. */
export function viewOf(plan: WalkPlan, walk: Walk): AgendaWalkView {
  const rows = rowsOf(plan, walk);
  const operations = withinBytes(
    mattering(rows, mostInView.rows).map(({ name, state }) => ({ name, state })),
    (row) => utf8Bytes(JSON.stringify(row)) + 1,
    mostInView.bytes,
  );
  return { counts: countsOf(rows), operations, more: rows.length - operations.length };
}

const rowsOf = (plan: WalkPlan, walk: Walk): Row[] =>
  plan.names.map((name, index) => ({
    name,
    type: plan.types[index] ?? '',
    state: walk.statuses[index] ?? 'waiting',
  }));

const countsOf = (rows: readonly Row[]): Record<string, number> =>
  Object.fromEntries(
    order
      .map((state) => [state, rows.filter((row) => row.state === state).length] as const)
      .filter(([, count]) => count > 0),
  );

/** All in declaration order, or the first of them by state when there are more. */
const mattering = (rows: readonly Row[], most: number): readonly Row[] =>
  rows.length <= most ? rows : [...rows].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).slice(0, most);

function withinBytes<T>(values: readonly T[], bytesOf: (value: T) => number, most: number): T[] {
  let bytes = 0;
  return values.filter((value) => {
    bytes += bytesOf(value);
    return bytes <= most;
  });
}

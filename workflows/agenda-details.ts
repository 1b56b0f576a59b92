/** What the Temporal Web UI shows of a running Agenda: a table in Markdown, within Temporal's 20,000 bytes. */
import { utf8Bytes } from '../agenda/json-bytes.ts';
import type { Walk } from '../agenda/walk.ts';
import type { Plan } from './activities.ts';
import { tableHead, tableRow } from './markdown-table.ts';

const mostRows = 60;
/** Of the rows; the rest of the page needs a few hundred. */
const mostBytes = 18_000;
const order = ['running', 'failed', 'cancelled', 'abandoned', 'waiting', 'succeeded'];

/** Counts per state, then the Operations that matter most first. */
export function agendaDetails(plan: Plan, walk: Walk): string {
  const rows = plan.names.map((name, index) => ({
    name,
    type: plan.types[index] ?? '',
    state: walk.statuses[index] ?? 'waiting',
  }));
  const counts = order
    .map((state) => ({ state, count: rows.filter((row) => row.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`);
  const shown =
    rows.length <= mostRows
      ? rows
      : [...rows].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).slice(0, mostRows);
  let bytes = 0;
  const lines = shown
    .map((row) => tableRow(row.name, row.type, row.state))
    .filter((line) => {
      bytes += utf8Bytes(line) + 1;
      return bytes <= mostBytes;
    });
  const rest = rows.length - lines.length;
  return [
    counts.join(', '),
    '',
    ...tableHead('Operation', 'type', 'state'),
    ...lines,
    ...(rest > 0 ? [`\n… and ${rest} more`] : []),
  ].join('\n');
}

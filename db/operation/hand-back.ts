/**
 * Operations of a type that the asking worker does not serve. Where another worker that is there does, or one of late
 * did, it is handed back and nothing is spent. Where no registry knows it any more, it is handed out, and fails with
 * what the worker says.
 */
import { quoted } from '../../agenda/cut.ts';
import { waitForAnother } from '../../agenda/infrastructure-budget.ts';
import { elsewhere, type StartOperationItem, type StartVerdict } from '../../messages/resource-pool.ts';
import type { Statements } from '../connect.ts';
import { readTypeService } from '../pool/told-types.ts';
import { distinct, type OperationRow } from './fence.ts';
import { beginningOf } from './place.ts';

/** An Operation that is handed back. */
export interface HandBack {
  readonly row: OperationRow;
  readonly verdict: Extract<StartVerdict, { verdict: 'elsewhere' }>;
}

/** Those to be handed back, by their place in the request, from 1. */
export async function handBacks(
  sql: Statements,
  resourcePoolId: string,
  rows: readonly OperationRow[],
  items: readonly StartOperationItem[],
): Promise<ReadonlyMap<number, HandBack>> {
  const strange = rows.filter((row) => {
    const item = items[row.n - 1];
    if (item?.understands?.includes(elsewhere) !== true || beginningOf(row, item).launcher !== null) return false;
    // What waits after a lost launch is told so.
    return row.processing_state !== 'COMPLETE' && !row.cancelled && !row.early && !((row.again_milliseconds ?? 0) > 0);
  });
  const worker = items[0]?.worker;
  if (strange.length === 0 || worker === undefined) return new Map();
  const types = distinct(strange.map(({ type }) => type));
  // A request is of one worker.
  const services = await readTypeService(sql, resourcePoolId, { types, worker });
  return new Map(
    strange.flatMap((row) => {
      const { isServed, isKnown } = services.get(row.type) ?? { isServed: false, isKnown: false };
      if (!isServed && !isKnown) return [];
      return [[row.n, { row, verdict: verdictOf(row, isServed) }] as const];
    }),
  );
}

function verdictOf(row: OperationRow, isServed: boolean): HandBack['verdict'] {
  const type = quoted(row.type);
  const reason = isServed
    ? `It waits for a pool worker that serves the Operation type ${type}: not every one of its pool does.`
    : `No pool worker that is there serves the Operation type ${type}; one did of late.`;
  const inMilliseconds = waitForAnother(row.blocked_milliseconds ?? 0, isServed, Math.random());
  return { verdict: elsewhere, reason, inMilliseconds };
}

/** Something of it may run: `blocked` would say that nothing does. */
const isBegun = (row: OperationRow): boolean =>
  row.processing_state === 'EXECUTING' && row.launch > 0 && row.again_milliseconds === null;

/** Shows on the Operations why they wait, and since when. */
export async function showHandedBack(sql: Statements, handedBack: readonly HandBack[]): Promise<void> {
  const idle = handedBack.filter(({ row }) => !isBegun(row));
  if (idle.length === 0) return;
  await sql`
    /* handBack: show */
    update operation_progress p set
      blocked_reason = b.reason, blocked_since = coalesce(p.blocked_since, clock_timestamp()),
      updated_time = clock_timestamp()
    from unnest(
      ${idle.map(({ row }) => row.agenda_id)}::text[], ${idle.map(({ row }) => row.index)}::int[],
      ${idle.map(({ verdict }) => verdict.reason)}::text[]) as b(agenda_id, index, reason)
    where p.agenda_id = b.agenda_id and p.index = b.index`;
}

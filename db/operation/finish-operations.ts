/** The ends of Operations. */
import type { Failure } from '../../agenda/failure.ts';
import type { JsonObject } from '../../agenda/types.ts';
import type { FinishOperationItem, FinishVerdict } from '../../messages/resource-pool.ts';
import { refreshAgendaProgress } from '../agenda/agenda-progress.ts';
import { markFailing } from '../agenda/mark-failing.ts';
import type { Database, Statements } from '../connect.ts';
import { storable } from '../storable.ts';
import { type Change, unchanged, withFailures, writeChanges } from './change.ts';
import { distinct, isNewest, lockAgendas, type OperationRow, readOperations, touchQuiet } from './fence.ts';
import { decideOnLost, type LostLaunch, launchedKey, spentEvent } from './past-launches.ts';
import { isForBudget, type ReportedEnd, reportedEnd, verdictOf } from './reported-end.ts';

/**
 * Records ends. The first report of the current launch decides; what is not acceptable as a result fails the Operation.
 */
export async function finishOperations(
  database: Database,
  resourcePoolId: string,
  items: readonly FinishOperationItem[],
): Promise<FinishVerdict[]> {
  const agendaIds = distinct(items.map((item) => item.agendaId));
  return database.$client.begin(async (sql) => {
    const [, rows] = await Promise.all([
      lockAgendas(sql, resourcePoolId, agendaIds),
      readOperations(sql, resourcePoolId, items),
    ]);
    const verdicts: FinishVerdict[] = items.map(() => ({ verdict: 'over' }));
    const ends = new Map<string, End>();
    // Of a launch whose handler reported the end by itself: what it printed comes with the pool worker's report.
    const late: Pick<End, 'row' | 'item'>[] = [];
    for (const row of rows) {
      const item = items[row.n - 1];
      if (item === undefined || !isNewest(row, item)) continue;
      const repeat = repeatOf(row);
      const key = launchedKey({ agendaId: row.agenda_id, index: row.index });
      if (repeat !== undefined) {
        verdicts[row.n - 1] = repeat;
        late.push({ row, item });
      } else if (!ends.has(key)) ends.set(key, endOf(row, item));
    }
    await writeLogs(sql, late);
    if (ends.size > 0) await recordEnds(sql, rows, ends);
    for (const row of rows) {
      const item = items[row.n - 1];
      const end = ends.get(launchedKey({ agendaId: row.agenda_id, index: row.index }));
      if (item === undefined || end === undefined || !isNewest(row, item)) continue;
      const isFirst = end.item === item;
      verdicts[row.n - 1] =
        isFirst || end.verdict.verdict === 'again' ? end.verdict : { verdict: 'stored', outcome: end.outcome };
    }
    return verdicts;
  }) as Promise<FinishVerdict[]>;
}

/** An end as it is going to be recorded. */
interface End extends ReportedEnd {
  readonly item: FinishOperationItem;
  readonly row: OperationRow;
  readonly verdict: FinishVerdict;
  readonly againInMilliseconds?: number;
}

/** The answer to a report of what is recorded already. */
function repeatOf(row: OperationRow): FinishVerdict | undefined {
  if (row.processing_state === 'COMPLETE') return { verdict: 'stored', outcome: row.processing_state_message };
  if (row.again_milliseconds === null) return undefined;
  return { verdict: 'again', inMilliseconds: row.again_milliseconds };
}

/** The end as it was reported. */
const endOf = (row: OperationRow, item: FinishOperationItem): End => {
  const end = reportedEnd(item, row.cancelled);
  return { ...end, item, row, verdict: verdictOf(end) };
};

/** Decides on those that were lost, and writes all. */
async function recordEnds(sql: Statements, rows: readonly OperationRow[], ends: Map<string, End>): Promise<void> {
  const decisions = await decideOnLost(
    sql,
    [...ends.values()].flatMap((end) => (isForBudget(end, end.item) ? [lostOf(end, end.failure)] : [])),
  );
  for (const [key, decision] of decisions) {
    const end = ends.get(key);
    if (end === undefined) continue;
    if (decision.decision === 'ended') ends.set(key, { ...end, events: [spentEvent(decision.reason), ...end.events] });
    else {
      const { inMilliseconds } = decision;
      ends.set(key, { ...end, verdict: { verdict: 'again', inMilliseconds }, againInMilliseconds: inMilliseconds });
    }
  }
  const all = [...ends.values()];
  const changes = all.map(changeOf);
  const touched = distinct(all.map(({ row }) => row.agenda_id));
  await Promise.all([
    writeChanges(sql, changes),
    markFailing(sql, withFailures(changes)),
    touchQuiet(sql, rows, new Set(touched)),
    writeLogs(sql, all),
    refreshAgendaProgress(sql, touched),
  ]);
}

function lostOf({ row, item }: End, failure: Failure): LostLaunch {
  const { startedTime, endedTime, noticedTime } = item;
  const until = endedTime ?? noticedTime ?? Date.now();
  return {
    ...{ agendaId: row.agenda_id, index: row.index, attempt: item.attempt, launch: row.launch, failure },
    ...(startedTime === undefined ? {} : { ranMilliseconds: Math.max(0, until - startedTime) }),
  };
}

const changeOf = ({ row, item, outcome, ending, failure, events, result, againInMilliseconds }: End): Change => ({
  ...unchanged,
  agendaId: row.agenda_id,
  index: row.index,
  attempt: item.attempt,
  ...(againInMilliseconds === undefined
    ? { state: 'COMPLETE', message: outcome, decision: 'ended', result }
    : { state: 'EXECUTING', message: 'executing', decision: 'again', againInMilliseconds }),
  percent: outcome === 'succeeded' ? 100 : null,
  diagnosticEvents: events.length === 0 ? null : events,
  params: (item.params as JsonObject | undefined) ?? null,
  attemptCount: row.attempt_count,
  launch: row.launch,
  started: item.startedTime ?? null,
  ended: item.endedTime ?? null,
  noticed: item.noticedTime ?? null,
  ending,
  category: failure?.category ?? null,
  code: failure?.code ?? null,
});

/** Keeps the output of each launch, lost ones included. */
function writeLogs(sql: Statements, ends: readonly Pick<End, 'row' | 'item'>[]) {
  const logs = ends.flatMap(({ row, item }) =>
    item.log === undefined
      ? []
      : [
          {
            ...{ agendaId: row.agenda_id, index: row.index, attempt: item.attempt, launch: item.launch },
            ...{ output: storable(item.log.output), totalBytes: item.log.totalBytes },
          },
        ],
  );
  if (logs.length === 0) return undefined;
  return sql`
    /* finishOperations: logs */
    insert into operation_log (agenda_id, index, attempt, launch, output, total_bytes)
    select l."agendaId", l.index, l.attempt, l.launch, l.output, l."totalBytes"
    from json_to_recordset(${JSON.stringify(logs)}::json)
      as l("agendaId" text, index int, attempt int, launch int, output text, "totalBytes" bigint)
    on conflict do nothing`;
}

/** What Operations say while they run. */
import { waitWhileBlocked } from '../../agenda/infrastructure-budget.ts';
import type { DiagnosticEvent, JsonObject } from '../../agenda/types.ts';
import type { ProgressVerdict, ReportProgressItem } from '../../messages/resource-pool.ts';
import { refreshAgendaProgress } from '../agenda/agenda-progress.ts';
import type { Database } from '../connect.ts';
import { type Change, unchanged, writeChanges } from './change.ts';
import { distinct, isCurrent, isNewest, lockAgendas, type OperationRow, readOperations, touchQuiet } from './fence.ts';
import { launchedKey } from './past-launches.ts';

/**
 * Takes in what handlers say of themselves; also the sign of life of an Agenda that has nothing to say. `byHandler`: it
 * comes from the handler itself, with the token of its launch, and not from its pool worker.
 */
export async function reportProgress(
  database: Database,
  resourcePoolId: string,
  items: readonly ReportProgressItem[],
  byHandler = false,
): Promise<ProgressVerdict[]> {
  const agendaIds = distinct(items.map((item) => item.agendaId));
  return database.$client.begin(async (sql) => {
    const [, rows] = await Promise.all([
      lockAgendas(sql, resourcePoolId, agendaIds),
      readOperations(sql, resourcePoolId, items),
    ]);
    const verdicts: ProgressVerdict[] = items.map(() => ({ verdict: 'over' }));
    const changes = new Map<string, Change>();
    const alive = new Set<string>();
    for (const row of rows) {
      const item = items[row.n - 1];
      if (item === undefined) continue;
      if (row.processing_state === 'COMPLETE' && isNewest(row, item))
        verdicts[row.n - 1] = { verdict: 'over', ended: true };
      if (row.processing_state !== 'EXECUTING' || !isCurrent(row, item)) continue;
      verdicts[row.n - 1] = verdictOf(row, item, byHandler);
      if (item.orphan !== true) alive.add(row.agenda_id);
      // That a handler speaks is news, whatever it says.
      if (!byHandler && saysNothing(item)) continue;
      const key = launchedKey({ agendaId: row.agenda_id, index: row.index });
      changes.set(key, changeOf(row, item, { ...unchanged, ...changes.get(key), byHandler }));
    }
    if (alive.size === 0) return verdicts;
    const told = distinct([...changes.values()].map((change) => change.agendaId));
    await Promise.all([
      ...(told.length === 0 ? [] : [writeChanges(sql, [...changes.values()]), refreshAgendaProgress(sql, told)]),
      touchQuiet(sql, rows, alive),
    ]);
    return verdicts;
  }) as Promise<ProgressVerdict[]>;
}

/** What cannot be started is tried again after as long as it has waited by now. */
function verdictOf(row: OperationRow, item: ReportProgressItem, byHandler: boolean): ProgressVerdict {
  if (row.cancelled) return { verdict: 'cancelled' };
  const reportedTime = byHandler ? null : row.reported_milliseconds;
  if (item.blocked === undefined) return { verdict: 'ok', ...(reportedTime !== null && { reportedTime }) };
  return { verdict: 'ok', inMilliseconds: waitWhileBlocked(row.blocked_milliseconds ?? 0, Math.random()) };
}

const saysNothing = (item: ReportProgressItem): boolean =>
  (item.message ?? item.percentComplete ?? item.params ?? item.diagnosticEvents ?? item.startedTime) === undefined &&
  item.blocked === undefined;

/** The report on top of an earlier one of the same request. */
const changeOf = (row: OperationRow, item: ReportProgressItem, earlier: typeof unchanged): Change => ({
  ...earlier,
  agendaId: row.agenda_id,
  index: row.index,
  attempt: item.attempt,
  state: 'EXECUTING',
  message: item.message ?? earlier.message,
  percent: item.percentComplete === undefined ? earlier.percent : Math.max(item.percentComplete, earlier.percent ?? 0),
  diagnosticEvents: (item.diagnosticEvents as DiagnosticEvent[] | undefined) ?? earlier.diagnosticEvents,
  params: (item.params as JsonObject | undefined) ?? earlier.params,
  attemptCount: row.attempt_count,
  launch: row.launch,
  worker: item.worker ?? earlier.worker,
  started: item.startedTime ?? earlier.started,
  blocked: item.blocked?.reason ?? earlier.blocked,
});

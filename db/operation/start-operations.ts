/** The beginning of Operations: what to run, and under which launch number. */
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { StartOperationItem, StartVerdict } from '../../messages/resource-pool.ts';
import { insightsThatWait } from '../admission/wake.ts';
import type { Database, Statements } from '../connect.ts';
import { storable } from '../storable.ts';
import { type Change, unchanged, writeChanges } from './change.ts';
import { distinct, lockAgendas, type OperationRow, readOperations, touchQuiet } from './fence.ts';
import { type ResolvedPayload, resolvePayloads } from './resolve-payload.ts';

/**
 * Hands out Operations to be run: resolves payloads, gives the launch number. The launch stays the same for a worker in
 * the same place (it adopts what runs there) and is raised when it is reported lost or lives where the caller cannot
 * reach it.
 */
export async function startOperations(
  database: Database,
  resourcePoolId: string,
  items: readonly StartOperationItem[],
): Promise<{ verdicts: StartVerdict[]; wakeInsights: string[] }> {
  const agendaIds = distinct(items.map((item) => item.agendaId));
  const { verdicts, left } = (await database.$client.begin(async (sql) => {
    const [, rows] = await Promise.all([
      lockAgendas(sql, resourcePoolId, agendaIds),
      readOperations(sql, resourcePoolId, items, true),
    ]);
    const payloads = await payloadsOf(sql, rows, items);
    const verdicts: StartVerdict[] = items.map(() => ({ verdict: 'over' }));
    const changes = new Map<string, Change>();
    for (const row of rows) {
      const item = items[row.n - 1];
      if (item === undefined) continue;
      const key = `${row.agenda_id} ${row.index}`;
      const { verdict, change } = startOne(after(row, changes.get(key)), item, payloads.get(row.n));
      verdicts[row.n - 1] = verdict;
      // The same Operation twice in one request: what adopts the launch of the first has nothing to add.
      if (change !== undefined && (change.fresh || !changes.has(key))) changes.set(key, change);
    }
    if (changes.size === 0) return { verdicts, left: [] };
    const touched = new Set([...changes.values()].map((change) => change.agendaId));
    const first = distinct(
      rows.filter((row) => !row.left_queue && touched.has(row.agenda_id)).map((row) => row.agenda_id),
    );
    const [, , left] = await Promise.all([
      writeChanges(sql, [...changes.values()]),
      touchQuiet(sql, rows, touched),
      first.length === 0 ? [] : leaveQueue(sql, first),
    ]);
    return { verdicts, left: left.map((row) => row.insight_id) };
  })) as { verdicts: StartVerdict[]; left: string[] };
  return { verdicts, wakeInsights: left.length === 0 ? [] : await insightsThatWait(database, { insightIds: left }) };
}

/** The first Operation of these Agendas is started: their places in the queues of the Insights it answers are free. */
const leaveQueue = (sql: Statements, agendaIds: string[]) => sql<{ insight_id: string }[]>`
  with left_queue as (
    update running_agenda set left_queue_time = clock_timestamp() where agenda_id = any(${agendaIds}) and left_queue_time is null
    returning insight_id),
  executing as (
    update agenda_progress set processing_state = 'EXECUTING', processing_state_message = 'Running Operations',
      started_time = coalesce(started_time, clock_timestamp()), updated_time = clock_timestamp()
    where agenda_id = any(${agendaIds}) and processing_state = 'WAITING')
  select distinct insight_id from left_queue`;

/** The payloads of those that may start, by their place in the request. */
async function payloadsOf(sql: Statements, rows: readonly OperationRow[], items: readonly StartOperationItem[]) {
  const wanted = rows.filter((row) => row.processing_state !== 'COMPLETE' && !row.cancelled);
  const resolved = await resolvePayloads(
    sql,
    wanted.map((row) => ({ agendaId: row.agenda_id, name: items[row.n - 1]?.operation ?? '', payload: row.payload })),
  );
  return new Map(wanted.map((row, position) => [row.n, resolved[position]]));
}

function startOne(
  row: OperationRow,
  item: StartOperationItem,
  resolved: ResolvedPayload | undefined,
): { verdict: StartVerdict; change?: Change } {
  if (row.processing_state === 'COMPLETE')
    return { verdict: { verdict: 'ended', outcome: row.processing_state_message } };
  if (row.cancelled) return { verdict: { verdict: 'cancelled' } };
  const begun = row.launch > 0;
  const adopt = begun && row.place === storable(item.place) && item.lostLaunch !== row.launch;
  const change: Change = {
    ...unchanged,
    agendaId: row.agenda_id,
    index: row.index,
    state: 'EXECUTING',
    message: 'executing',
    attemptCount: Math.max(1, row.attempt_count),
    launch: adopt ? row.launch : row.launch + 1,
    place: item.place,
    worker: item.worker,
    fresh: !adopt,
    scheduled: item.scheduledTime ?? null,
    pulled: item.pulledTime ?? null,
  };
  if (resolved === undefined) throw new Error(`no payload was resolved for Operation ${item.operation}`);
  if ('fault' in resolved) {
    const events: DiagnosticEvent[] = [resolved.fault];
    return {
      verdict: { verdict: 'ended', outcome: 'failed' },
      change: { ...change, state: 'COMPLETE', message: 'failed', diagnosticEvents: events },
    };
  }
  return {
    verdict: {
      verdict: 'run',
      operationAttempt: change.attemptCount,
      launch: change.launch,
      type: row.type,
      cid: row.cid,
      customerId: row.customer_id,
      operationId: row.given_id ?? item.operation,
      progressId: row.progress_id,
      payload: resolved.payload,
      ...(begun ? { lastProgress: lastProgressOf(row, item.operation) } : {}),
      ...(row.timeout === null ? {} : { timeout: row.timeout }),
    },
    change,
  };
}

/** What an earlier run of this Operation left, in the shape of POP's LAST_PROGRESS. */
function lastProgressOf(row: OperationRow, operation: string): string {
  return JSON.stringify({
    id: row.progress_id,
    operation,
    processingState: row.processing_state,
    processingStateMessage: row.processing_state_message,
    percentComplete: row.percent_complete,
    attemptCount: row.attempt_count,
    ...(row.params === null ? {} : { params: row.params }),
    ...(row.diagnostic_events === null ? {} : { diagnosticEvents: row.diagnostic_events }),
  });
}

/** The row as it will be after a change of the same request. */
const after = (row: OperationRow, change: Change | undefined): OperationRow =>
  change === undefined
    ? row
    : {
        ...row,
        processing_state: change.state,
        processing_state_message: change.message ?? row.processing_state_message,
        percent_complete: change.fresh ? 0 : row.percent_complete,
        attempt_count: change.attemptCount,
        launch: change.launch,
        place: change.place ?? row.place,
      };

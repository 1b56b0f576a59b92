/** The ends of Operations. */
import { isDeeperThan } from '../../agenda/depth.ts';
import { type DiagnosticEvent, type Json, type JsonObject, maximumPayloadBytes } from '../../agenda/types.ts';
import type { FinishOperationItem, FinishVerdict } from '../../messages/resource-pool.ts';
import { refreshAgendaProgress } from '../agenda/agenda-progress.ts';
import type { Database } from '../connect.ts';
import { storable } from '../storable.ts';
import { type Change, unchanged, writeChanges } from './change.ts';
import { distinct, isCurrent, lockAgendas, readOperations, touchQuiet } from './fence.ts';

/** As deep as the body of a request: what refers to the result is written by functions that recurse. */
const maximumResultDepth = 256;

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
      readOperations(sql, resourcePoolId, items, false),
    ]);
    const verdicts: FinishVerdict[] = items.map(() => ({ verdict: 'over' }));
    const changes = new Map<string, Change>();
    const logs: {
      agendaId: string;
      index: number;
      attempt: number;
      launch: number;
      output: string;
      totalBytes: number;
    }[] = [];
    for (const row of rows) {
      const item = items[row.n - 1];
      if (item === undefined || !isCurrent(row, item)) continue;
      const key = `${row.agenda_id} ${row.index}`;
      const earlier = changes.get(key);
      if (row.processing_state === 'COMPLETE' || earlier !== undefined) {
        verdicts[row.n - 1] = { verdict: 'stored', outcome: earlier?.message ?? row.processing_state_message };
        continue;
      }
      const fault = resultFault(item);
      const outcome = fault === undefined ? item.outcome : 'failed';
      const events = [
        ...(item.diagnosticEvents ?? []),
        ...(fault === undefined ? [] : [{ ...fault, time: Date.now() }]),
      ];
      verdicts[row.n - 1] = fault === undefined ? { verdict: 'stored', outcome } : { verdict: 'refused', ...fault };
      changes.set(key, {
        ...unchanged,
        agendaId: row.agenda_id,
        index: row.index,
        state: 'COMPLETE',
        message: outcome,
        percent: outcome === 'succeeded' ? 100 : null,
        result: fault === undefined ? (item.result ?? null) : null,
        diagnosticEvents: events.length === 0 ? null : (events as DiagnosticEvent[]),
        params: (item.params as JsonObject | undefined) ?? null,
        attemptCount: row.attempt_count,
        launch: row.launch,
        started: item.startedTime ?? null,
        ended: item.endedTime ?? null,
        noticed: item.noticedTime ?? null,
      });
      if (item.log !== undefined)
        logs.push({
          agendaId: row.agenda_id,
          index: row.index,
          attempt: item.attempt,
          launch: item.launch,
          ...item.log,
          output: storable(item.log.output),
        });
    }
    if (changes.size === 0) return verdicts;
    const touched = distinct([...changes.values()].map((change) => change.agendaId));
    await Promise.all([
      writeChanges(sql, [...changes.values()]),
      touchQuiet(sql, rows, new Set(touched)),
      logs.length === 0
        ? undefined
        : sql`
        insert into operation_log (agenda_id, index, attempt, launch, output, total_bytes)
        select l."agendaId", l.index, l.attempt, l.launch, l.output, l."totalBytes"
        from json_to_recordset(${JSON.stringify(logs)}::json) as l("agendaId" text, index int, attempt int, launch int, output text, "totalBytes" bigint)
        on conflict do nothing`,
      refreshAgendaProgress(sql, touched),
    ]);
    return verdicts;
  }) as Promise<FinishVerdict[]>;
}

/** Why a result cannot be kept, if so. */
function resultFault(item: FinishOperationItem): { code: string; message: string } | undefined {
  if (item.result === undefined) return undefined;
  const bytes = Buffer.byteLength(item.result);
  if (bytes > maximumPayloadBytes) {
    return {
      code: 'resultTooLarge',
      message: `The result of Operation ${item.operation} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.`,
    };
  }
  let value: Json;
  try {
    value = JSON.parse(item.result) as Json;
  } catch (error) {
    return {
      code: 'resultNotJson',
      message: `The result of Operation ${item.operation} is not JSON: ${(error as Error).message}`,
    };
  }
  if (!isDeeperThan(value, maximumResultDepth)) return undefined;
  return {
    code: 'resultTooDeep',
    message: `The result of Operation ${item.operation} is nested deeper than ${maximumResultDepth}, which is the limit.`,
  };
}

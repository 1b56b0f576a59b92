/** The ends of Operations. */
import { isDeeperThan } from '../../agenda/depth.ts';
import { type Failure, type FailureCodeOf, failureOf, toldFailure } from '../../agenda/failure.ts';
import type { LaunchEnding } from '../../agenda/outcomes.ts';
import { type DiagnosticEvent, type Json, type JsonObject, maximumPayloadBytes } from '../../agenda/types.ts';
import type { FinishOperationItem, FinishVerdict } from '../../messages/resource-pool.ts';
import { refreshAgendaProgress } from '../agenda/agenda-progress.ts';
import { markFailing } from '../agenda/mark-failing.ts';
import type { Database, Statements } from '../connect.ts';
import { storable } from '../storable.ts';
import { type Change, unchanged, withFailures, writeChanges } from './change.ts';
import { distinct, isNewest, lockAgendas, type OperationRow, readOperations, touchQuiet } from './fence.ts';
import { decideOnLost, type LostLaunch, launchedKey, spentEvent } from './past-launches.ts';

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
interface End {
  readonly item: FinishOperationItem;
  readonly row: OperationRow;
  readonly outcome: 'succeeded' | 'failed' | 'cancelled';
  readonly ending: LaunchEnding;
  /** Absent when it succeeded. */
  readonly failure?: Failure;
  readonly events: readonly DiagnosticEvent[];
  /** Null where it gave none, or none that can be kept. */
  readonly result: string | null;
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
function endOf(row: OperationRow, item: FinishOperationItem): End {
  const fault = resultFault(item);
  const events = (item.diagnosticEvents ?? []) as DiagnosticEvent[];
  if (fault !== undefined)
    return {
      ...{ item, row, outcome: 'failed', ending: 'failed', failure: failureOf(fault.code), result: null },
      events: [...events, { ...fault, time: Date.now() }],
      verdict: { verdict: 'refused', ...fault },
    };
  const result = item.result ?? null;
  const stored = { item, row, events, result };
  if (item.outcome === 'succeeded')
    return { ...stored, outcome: 'succeeded', ending: 'succeeded', verdict: storedAs('succeeded') };
  const ending = endingOf(item);
  const failure = toldFailure(ending, item.ending === undefined ? { code: events.at(-1)?.code } : item);
  // Gone while a cancel was under way: that is what the cancel wanted.
  const outcome = ending === 'cancelled' || (ending === 'lost' && row.cancelled) ? 'cancelled' : 'failed';
  return { ...stored, outcome, ending, failure, verdict: storedAs(outcome) };
}

const storedAs = (outcome: string): FinishVerdict => ({ verdict: 'stored', outcome });

/** How the launch ended, as far as that agrees with the outcome; a worker of version 0.1.0 says the outcome only. */
function endingOf({ outcome, ending }: FinishOperationItem): 'failed' | 'timedOut' | 'lost' | 'cancelled' {
  if (outcome === 'cancelled') return 'cancelled';
  return ending === 'timedOut' || ending === 'lost' ? ending : 'failed';
}

/** Decides on those that were lost, and writes all. */
async function recordEnds(sql: Statements, rows: readonly OperationRow[], ends: Map<string, End>): Promise<void> {
  const decisions = await decideOnLost(
    sql,
    [...ends.values()].flatMap((end) => (isForBudget(end) ? [lostOf(end, end.failure)] : [])),
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

/**
 * The infrastructure took the launch away, and whoever reports it knows what it is to do next. Workers of version 0.1.0
 * have tried on their own.
 */
const isForBudget = (end: End): end is End & { failure: Failure } =>
  end.failure?.category === 'infrastructure' && end.outcome === 'failed' && end.item.ending !== undefined;

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

/** Why a result cannot be kept, if so. */
function resultFault(item: FinishOperationItem): { code: FailureCodeOf<'data'>; message: string } | undefined {
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
    message: `The result of Operation ${item.operation} is nested deeper than the limit of ${maximumResultDepth}.`,
  };
}

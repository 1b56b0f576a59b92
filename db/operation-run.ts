/**
 * The fenced record of running Operations, as pool workers (and the control worker, for resident types) read and write it.
 *
 *   WAITING --startOperations--> EXECUTING --finishOperations--> COMPLETE (succeeded | failed | cancelled)
 *
 * Everything here takes the Agenda's lock first (its row in running_agenda, by id), so it never meets half a cancel or half
 * an end; no such row, or another attempt in it, means the Agenda is over for this caller. A report counts only with the
 * current operation attempt and launch; a repeat of a report that counted is answered as before and changes nothing.
 */
import { tooDeepAt } from '../agenda/depth.ts';
import { type DiagnosticEvent, type Json, type JsonObject, maximumPayloadBytes, type OperationTimeout } from '../agenda/types.ts';
import type {
  FinishOperationItem,
  FinishVerdict,
  ProgressVerdict,
  ReportProgressItem,
  StartOperationItem,
  StartVerdict,
} from '../api/resource-pool-messages.ts';
import { refreshAgendaProgress } from './agenda-progress.ts';
import type { Database, Statements } from './connect.ts';
import { type ResolvedPayload, resolvePayloads } from './resolve-payload.ts';
import { storable } from './storable.ts';

interface OperationRow {
  readonly n: number;
  readonly agenda_id: string;
  readonly index: number;
  readonly type: string;
  readonly given_id: string | null;
  readonly payload: string | null;
  readonly timeout: OperationTimeout | null;
  readonly processing_state: string;
  readonly processing_state_message: string;
  readonly percent_complete: number;
  readonly params: unknown;
  readonly diagnostic_events: readonly DiagnosticEvent[] | null;
  readonly attempt_count: number;
  readonly launch: number;
  readonly place: string | null;
  readonly progress_id: string;
  readonly customer_id: string;
  readonly cid: string;
  readonly cancelled: boolean;
}

/** Takes the locks of these Agendas, in one order for everybody, and nothing of Agendas of another pool. */
const lockAgendas = (sql: Statements, resourcePoolId: string, agendaIds: readonly string[]) => sql`
  select agenda_id from running_agenda
  where agenda_id = any(${agendaIds.map(storable)}) and resource_pool_id = ${resourcePoolId} order by agenda_id for update`;

/** The Operations asked for, as far as their Agendas run in this pool with that attempt; `contents` brings what can be large, too. */
const readOperations = (
  sql: Statements,
  resourcePoolId: string,
  items: readonly { agendaId: string; attempt: number; operation: string }[],
  contents: boolean,
) => sql<OperationRow[]>`
  select i.n::int, p.agenda_id, p.index, o.type, o.given_id, ${contents ? sql`o.payload, p.params, p.diagnostic_events` : sql`null as payload`},
    o.timeout, p.processing_state, p.processing_state_message, p.percent_complete, p.attempt_count, p.launch, p.place, p.id as progress_id, p.customer_id, p.cid, a.cancel_requested_time is not null as cancelled
  from unnest(${items.map((i) => storable(i.agendaId))}::text[], ${items.map((i) => i.attempt)}::int[],
    ${items.map((i) => storable(i.operation))}::text[])
    with ordinality as i(agenda_id, attempt, operation, n)
  join running_agenda r on r.agenda_id = i.agenda_id and r.attempt = i.attempt and r.resource_pool_id = ${resourcePoolId}
  join agenda a on a.id = i.agenda_id
  join operation o on o.agenda_id = i.agenda_id and o.name = i.operation
  join operation_progress p on p.agenda_id = o.agenda_id and p.index = o.index
  order by i.n`;

const touchAgendas = (sql: Statements, agendaIds: string[]) => sql`
  update running_agenda set seen_time = clock_timestamp() where agenda_id = any(${agendaIds})`;

/** As deep as the body of a request: what refers to the result is written by functions that recurse. */
const maximumResultDepth = 256;

const distinct = (values: readonly string[]): string[] => [...new Set(values)];

/** One change of a row of operation_progress; absent fields stay. */
interface Change {
  agendaId: string;
  index: number;
  state: 'EXECUTING' | 'COMPLETE';
  message: string | null;
  percent: number | null;
  result: string | null;
  diagnosticEvents: readonly DiagnosticEvent[] | null;
  params: JsonObject | null;
  attemptCount: number;
  launch: number;
  place: string | null;
  worker: string | null;
  /** A new launch: its times begin anew. */
  fresh: boolean;
  scheduled: number | null;
  pulled: number | null;
  started: number | null;
  ended: number | null;
  noticed: number | null;
}

/** As Postgres can take it in; JSON as text, for `json_to_recordset` would refuse an escaped NUL anywhere inside. */
const storableChange = (change: Change) => ({
  ...change,
  message: change.message === null ? null : storable(change.message),
  result: change.result === null ? null : storable(change.result),
  place: change.place === null ? null : storable(change.place),
  worker: change.worker === null ? null : storable(change.worker),
  diagnosticEvents: change.diagnosticEvents === null ? null : JSON.stringify(change.diagnosticEvents),
  params: change.params === null ? null : JSON.stringify(change.params),
});

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

function writeChanges(sql: Statements, changes: readonly Change[]) {
  const time = (column: string) => sql`to_timestamp(c.${sql(column)} / 1000)`;
  return sql`
    update operation_progress p set
      processing_state = c.state,
      processing_state_message = coalesce(c.message, p.processing_state_message),
      percent_complete = case when c.fresh then coalesce(c.percent, 0) else greatest(p.percent_complete, coalesce(c.percent, 0)) end,
      result_payload = coalesce(c.result, p.result_payload),
      diagnostic_events = coalesce(c."diagnosticEvents"::json, p.diagnostic_events),
      params = coalesce(c.params::json, p.params),
      attempt_count = c."attemptCount",
      attempt_time = case when c."attemptCount" > p.attempt_count then clock_timestamp() else p.attempt_time end,
      launch = c.launch,
      place = coalesce(c.place, p.place),
      worker = coalesce(c.worker, p.worker),
      scheduled_time = case when c.fresh then ${time('scheduled')} else p.scheduled_time end,
      pulled_time = case when c.fresh then ${time('pulled')} else p.pulled_time end,
      started_time = case when c.fresh then clock_timestamp() else coalesce(${time('started')}, p.started_time) end,
      ended_time = coalesce(${time('ended')}, p.ended_time),
      noticed_time = coalesce(${time('noticed')}, p.noticed_time),
      completed_time = case when c.state = 'COMPLETE' then clock_timestamp() end,
      updated_time = clock_timestamp()
    from json_to_recordset(${JSON.stringify(changes.map(storableChange))}::json) as c("agendaId" text, index int, state text, message text, percent float8,
      result text, "diagnosticEvents" text, params text, "attemptCount" int, launch int, place text, worker text, fresh boolean,
      scheduled float8, pulled float8, started float8, ended float8, noticed float8)
    where p.agenda_id = c."agendaId" and p.index = c.index`;
}

const unchanged: Omit<Change, 'agendaId' | 'index' | 'state' | 'attemptCount' | 'launch'> = {
  message: null,
  percent: null,
  result: null,
  diagnosticEvents: null,
  params: null,
  place: null,
  worker: null,
  fresh: false,
  scheduled: null,
  pulled: null,
  started: null,
  ended: null,
  noticed: null,
};

/**
 * Hands out Operations to be run: resolves payloads, gives the launch number. The launch stays the same for a worker in the
 * same place (it adopts what runs there) and is raised when it is reported lost or lives where the caller cannot reach it.
 */
export async function startOperations(
  database: Database,
  resourcePoolId: string,
  items: readonly StartOperationItem[],
): Promise<{ verdicts: StartVerdict[]; wakeInsights: string[] }> {
  const agendaIds = distinct(items.map((item) => item.agendaId));
  return database.$client.begin(async (sql) => {
    const [, rows] = await Promise.all([lockAgendas(sql, resourcePoolId, agendaIds), readOperations(sql, resourcePoolId, items, true)]);
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
    if (changes.size === 0) return { verdicts, wakeInsights: [] };
    const touched = distinct([...changes.values()].map((change) => change.agendaId));
    const [, , left] = await Promise.all([
      writeChanges(sql, [...changes.values()]),
      touchAgendas(sql, touched),
      sql<{ insight_id: string }[]>`
        with left_queue as (
          update running_agenda set left_queue_time = clock_timestamp() where agenda_id = any(${touched}) and left_queue_time is null
          returning insight_id)
        select distinct insight_id from left_queue where exists (select 1 from ready_agenda w where w.insight_id = left_queue.insight_id)`,
      sql`
        update agenda_progress set processing_state = 'EXECUTING', processing_state_message = 'Running Operations',
          started_time = coalesce(started_time, clock_timestamp()), updated_time = clock_timestamp()
        where agenda_id = any(${touched}) and processing_state = 'WAITING'`,
      refreshAgendaProgress(sql, touched),
    ]);
    return { verdicts, wakeInsights: left.map((row) => row.insight_id) };
  }) as Promise<{ verdicts: StartVerdict[]; wakeInsights: string[] }>;
}

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
  if (row.processing_state === 'COMPLETE') return { verdict: { verdict: 'ended', outcome: row.processing_state_message } };
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

const isCurrent = (row: OperationRow, item: { operationAttempt: number; launch: number }): boolean =>
  row.attempt_count === item.operationAttempt && row.launch === item.launch;

/** Takes in what handlers say of themselves; also the sign of life of an Agenda that has nothing to say. */
export async function reportProgress(
  database: Database,
  resourcePoolId: string,
  items: readonly ReportProgressItem[],
): Promise<ProgressVerdict[]> {
  const agendaIds = distinct(items.map((item) => item.agendaId));
  return database.$client.begin(async (sql) => {
    const [, rows] = await Promise.all([lockAgendas(sql, resourcePoolId, agendaIds), readOperations(sql, resourcePoolId, items, false)]);
    const verdicts: ProgressVerdict[] = items.map(() => ({ verdict: 'over' }));
    const changes = new Map<string, Change>();
    const alive = new Set<string>();
    for (const row of rows) {
      const item = items[row.n - 1];
      if (item === undefined || row.processing_state !== 'EXECUTING' || !isCurrent(row, item)) continue;
      verdicts[row.n - 1] = { verdict: row.cancelled ? 'cancelled' : 'ok' };
      if (item.orphan !== true) alive.add(row.agenda_id);
      const says = item.message ?? item.percentComplete ?? item.params ?? item.diagnosticEvents ?? item.startedTime;
      if (says === undefined) continue;
      const key = `${row.agenda_id} ${row.index}`;
      const earlier = changes.get(key) ?? unchanged;
      changes.set(key, {
        ...earlier,
        agendaId: row.agenda_id,
        index: row.index,
        state: 'EXECUTING',
        message: item.message ?? earlier.message,
        percent: item.percentComplete === undefined ? earlier.percent : Math.max(item.percentComplete, earlier.percent ?? 0),
        diagnosticEvents: (item.diagnosticEvents as DiagnosticEvent[] | undefined) ?? earlier.diagnosticEvents,
        params: (item.params as JsonObject | undefined) ?? earlier.params,
        attemptCount: row.attempt_count,
        launch: row.launch,
        worker: item.worker ?? earlier.worker,
        started: item.startedTime ?? earlier.started,
      });
    }
    if (alive.size === 0) return verdicts;
    await Promise.all([
      changes.size === 0 ? undefined : writeChanges(sql, [...changes.values()]),
      touchAgendas(sql, [...alive]),
      refreshAgendaProgress(sql, [...alive]),
    ]);
    return verdicts;
  }) as Promise<ProgressVerdict[]>;
}

/** Records ends. The first report of the current launch decides; what is not acceptable as a result fails the Operation. */
export async function finishOperations(
  database: Database,
  resourcePoolId: string,
  items: readonly FinishOperationItem[],
): Promise<FinishVerdict[]> {
  const agendaIds = distinct(items.map((item) => item.agendaId));
  return database.$client.begin(async (sql) => {
    const [, rows] = await Promise.all([lockAgendas(sql, resourcePoolId, agendaIds), readOperations(sql, resourcePoolId, items, false)]);
    const verdicts: FinishVerdict[] = items.map(() => ({ verdict: 'over' }));
    const changes = new Map<string, Change>();
    const logs: { agendaId: string; index: number; attempt: number; launch: number; output: string; totalBytes: number }[] = [];
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
      const events = [...(item.diagnosticEvents ?? []), ...(fault === undefined ? [] : [{ ...fault, time: Date.now() }])];
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
      touchAgendas(sql, touched),
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
    return { code: 'resultNotJson', message: `The result of Operation ${item.operation} is not JSON: ${(error as Error).message}` };
  }
  if (tooDeepAt(value, maximumResultDepth).length === 0) return undefined;
  return {
    code: 'resultTooDeep',
    message: `The result of Operation ${item.operation} is nested deeper than ${maximumResultDepth}, which is the limit.`,
  };
}

/** The beginning of Operations: what to run, and under which launch number. */
import { type FailureCode, failureOf } from '../../agenda/failure.ts';
import { type BudgetDecision, decideAfterLoss } from '../../agenda/infrastructure-budget.ts';
import type { ResolvedPayload } from '../../agenda/resolve-payload.ts';
import { mostAnswerBytes } from '../../messages/limits.ts';
import type { StartOperationItem, StartVerdict } from '../../messages/resource-pool.ts';
import { insightsThatWait } from '../admission/wake.ts';
import { markFailing } from '../agenda/mark-failing.ts';
import type { Database, Statements } from '../connect.ts';
import { agendaEvents } from '../event/write-events.ts';
import { type Change, unchanged, withFailures, writeChanges } from './change.ts';
import { distinct, lockAgendas, type OperationRow, readOperations, touchQuiet } from './fence.ts';
import { handBacks, showHandedBack } from './hand-back.ts';
import { lastProgressOf } from './last-progress.ts';
import { decideOnLost, type LostLaunch, launchedKey, spentEvent } from './past-launches.ts';
import { beginningOf, isInReach } from './place.ts';
import { resolvePayloads } from './resolve-payload.ts';

/** How soon to ask again for an Operation whose turn has not come. */
const earlyMilliseconds = 1_000;

/**
 * Hands out Operations to be run: resolves payloads, gives the launch number. The launch stays the same for a worker in
 * the reach of the place where it lives (it adopts what runs there). Where it is reported lost or lives where the
 * caller cannot reach it, it ends as lost, and the infrastructure's budget says whether and when the next one begins.
 */
export async function startOperations(
  database: Database,
  resourcePoolId: string,
  asked: readonly StartOperationItem[],
): Promise<{ verdicts: StartVerdict[]; wakeInsights: string[] }> {
  const turns = inTurns(asked);
  const items = turns.map(({ item }) => item);
  const agendaIds = distinct(items.map((item) => item.agendaId));
  // Workers of version 0.1.0 know no waits: they are handed out whatever they ask for together.
  const mostBytes = items.every(understandsLater) ? mostAnswerBytes : Number.POSITIVE_INFINITY;
  const { verdicts, left } = (await database.$client.begin(async (sql) => {
    const [, found] = await Promise.all([
      lockAgendas(sql, resourcePoolId, agendaIds),
      readOperations(sql, resourcePoolId, items, { mostBytes }),
    ]);
    const handedBack = await handBacks(sql, resourcePoolId, found, items);
    const rows = found.filter(({ n }) => !handedBack.has(n));
    const [payloads, decisions] = await Promise.all([
      payloadsOf(sql, rows, items, mostBytes),
      decideOnLost(sql, lostAmong(rows, items)),
    ]);
    const verdicts: StartVerdict[] = items.map((_, n) => handedBack.get(n + 1)?.verdict ?? { verdict: 'over' });
    // A launch that ends and the next one are two changes of one Operation, in this order.
    const ended: Change[] = [];
    const changes = new Map<string, Change>();
    const newest = new Map<string, Change>();
    for (const row of rows) {
      const item = items[row.n - 1];
      if (item === undefined) continue;
      const key = launchedKey({ agendaId: row.agenda_id, index: row.index });
      const now = after(row, newest.get(key));
      const answer = startOne(now, item, payloads.get(row.n), () => decisions.get(key) ?? decideOnUnwritten());
      verdicts[row.n - 1] = answer.verdict;
      if (answer.ended !== undefined) {
        ended.push(answer.ended);
        newest.set(key, answer.ended);
      }
      const { change } = answer;
      // The same Operation twice in one request: what adopts the launch of the first has nothing to add.
      if (change === undefined || !(change.fresh || !changes.has(key))) continue;
      changes.set(key, change);
      newest.set(key, change);
    }
    await showHandedBack(sql, [...handedBack.values()]);
    const all = [...ended, ...changes.values()];
    if (all.length === 0) return { verdicts, left: [] };
    const touched = new Set(all.map((change) => change.agendaId));
    const first = distinct(
      rows.filter((row) => !row.left_queue && touched.has(row.agenda_id)).map((row) => row.agenda_id),
    );
    const [left] = await Promise.all([
      first.length === 0 ? [] : leaveQueue(sql, first),
      ended.length === 0 ? undefined : writeChanges(sql, ended),
      changes.size === 0 ? undefined : writeChanges(sql, [...changes.values()]),
      markFailing(sql, withFailures(all)),
      touchQuiet(sql, rows, touched),
    ]);
    return { verdicts, left: left.map((row) => row.insight_id) };
  })) as { verdicts: StartVerdict[]; left: string[] };
  const inOrder: StartVerdict[] = [];
  for (const [turn, { place }] of turns.entries()) inOrder[place] = verdicts[turn] ?? { verdict: 'over' };
  return {
    verdicts: inOrder,
    wakeInsights: left.length === 0 ? [] : await insightsThatWait(database.$client, { insightIds: left }),
  };
}

/** The first one of each Agenda, then the second ones: where there is no room for all, large Agendas leave some. */
function inTurns(
  asked: readonly StartOperationItem[],
): { readonly item: StartOperationItem; readonly place: number }[] {
  const counts = new Map<string, number>();
  return asked
    .map((item, place) => {
      const turn = counts.get(item.agendaId) ?? 0;
      counts.set(item.agendaId, turn + 1);
      return { item, place, turn };
    })
    .sort((a, b) => a.turn - b.turn);
}

/** The first Operation of these Agendas is started: their places in the queues of the Insights it answers are free. */
const leaveQueue = (sql: Statements, agendaIds: string[]) => sql<{ insight_id: string }[]>`
  /* startOperations: leave queue */
  with left_queue as (
    update running_agenda set left_queue_time = clock_timestamp()
    where agenda_id = any(${agendaIds}) and left_queue_time is null
    returning agenda_id, attempt, insight_id),
  executing as (
    update agenda_progress set processing_state = 'EXECUTING', processing_state_message = 'Running Operations',
      started_time = coalesce(started_time, clock_timestamp()), updated_time = clock_timestamp()
    where agenda_id = any(${agendaIds}) and processing_state = 'WAITING' returning agenda_id),
  told as (${agendaEvents(
    sql,
    'agenda.executing',
    sql`(select agenda_id, attempt from left_queue join executing using (agenda_id))`,
  )})
  select distinct insight_id from left_queue`;

/** The payloads of those that may start and fit into one answer, by their place in the request. */
async function payloadsOf(
  sql: Statements,
  rows: readonly OperationRow[],
  items: readonly StartOperationItem[],
  mostBytes: number,
): Promise<ReadonlyMap<number, ResolvedPayload>> {
  const wanted = rows.filter(
    (row) => row.processing_state !== 'COMPLETE' && !row.cancelled && !row.early && !row.beyond,
  );
  const resolved = await resolvePayloads(
    sql,
    wanted.map((row) => {
      const name = items[row.n - 1]?.operation ?? '';
      const otherBytes = row.launch > 0 ? Buffer.byteLength(lastProgressOf(row, name)) : 0;
      return { agendaId: row.agenda_id, name, payload: row.payload, otherBytes };
    }),
    mostBytes,
  );
  return new Map(
    wanted.flatMap((row, position) => {
      const found = resolved[position];
      return found === undefined ? [] : [[row.n, found] as const];
    }),
  );
}

const understandsLater = ({ understands }: StartOperationItem): boolean => understands?.includes('later') === true;

/** Why the newest launch can be followed no more, from where the caller is; undefined when it can, or there is none. */
function lossOf(row: OperationRow, item: StartOperationItem): FailureCode | undefined {
  const isRunning = row.processing_state === 'EXECUTING' && row.launch > 0 && row.again_milliseconds === null;
  if (!isRunning || row.cancelled) return undefined;
  if (item.lostLaunch === row.launch) return 'lost';
  return isInReach(row.place, item) ? undefined : 'placeGone';
}

/** The launches that this request ends. */
function lostAmong(rows: readonly OperationRow[], items: readonly StartOperationItem[]): LostLaunch[] {
  return rows.flatMap((row) => {
    const item = items[row.n - 1];
    const code = item && lossOf(row, item);
    if (item === undefined || code === undefined) return [];
    const { agenda_id: agendaId, index, launch } = row;
    return [{ agendaId, index, attempt: item.attempt, launch, failure: failureOf(code) }];
  });
}

/**
 * What one asker is told, and what that changes: `ended` of a launch that is lost now, `change` of the one that begins
 * or goes on.
 */
interface StartAnswer {
  readonly verdict: StartVerdict;
  readonly ended?: Change;
  readonly change?: Change;
}

function startOne(
  row: OperationRow,
  item: StartOperationItem,
  resolved: ResolvedPayload | undefined,
  decide: () => BudgetDecision,
): StartAnswer {
  if (row.processing_state === 'COMPLETE')
    return { verdict: { verdict: 'ended', outcome: row.processing_state_message } };
  if (row.cancelled) return { verdict: { verdict: 'cancelled' } };
  if (row.early) return { verdict: { verdict: 'later', inMilliseconds: earlyMilliseconds } };
  // There was no room for it: nothing of it changes.
  if (resolved === undefined) return { verdict: { verdict: 'later', inMilliseconds: 0 } };
  const code = lossOf(row, item);
  if (code === undefined) return handOut(row, item, resolved);
  const decision = decide();
  const ended = lostChange(row, item, code, decision);
  if (decision.decision === 'ended') return { verdict: { verdict: 'ended', outcome: 'failed' }, ended };
  const waits = { ...row, again_milliseconds: decision.inMilliseconds };
  return { ...handOut(waits, item, resolved), ended };
}

/** The same request began the launch and ends it, from two places: it has no row to read yet. */
const decideOnUnwritten = (): BudgetDecision =>
  decideAfterLoss([{ ...failureOf('placeGone'), ranMilliseconds: 0 }], Math.random());

/** The end of a launch that nobody can follow any more. */
const lostChange = (
  row: OperationRow,
  item: StartOperationItem,
  code: FailureCode,
  decision: BudgetDecision,
): Change => {
  const time = Date.now();
  const message =
    code === 'placeGone'
      ? `Launch ${row.launch} can be reached no more: it ran at another place than the one that asks now.`
      : `Launch ${row.launch} was lost.`;
  return {
    ...unchanged,
    ...{ agendaId: row.agenda_id, index: row.index, attempt: item.attempt },
    ...{ attemptCount: row.attempt_count, launch: row.launch, noticed: time, ending: 'lost', ...failureOf(code) },
    ...(decision.decision === 'ended'
      ? {
          ...{ state: 'COMPLETE', message: 'failed', decision: 'ended' },
          diagnosticEvents: [spentEvent(decision.reason), { code, message, time }],
        }
      : {
          ...{ state: 'EXECUTING', message: 'executing', decision: 'again' },
          ...{ againInMilliseconds: decision.inMilliseconds, diagnosticEvents: [{ code, message, time }] },
        }),
  };
};

/** The next launch, or the one that is there already for who can adopt it; not before its time. */
function handOut(row: OperationRow, item: StartOperationItem, resolved: ResolvedPayload): StartAnswer {
  const again = row.again_milliseconds;
  // Workers of version 0.1.0 know no waits: for them the next launch begins at once.
  if (again !== null && again > 0 && understandsLater(item))
    return { verdict: { verdict: 'later', inMilliseconds: again } };
  const begun = row.launch > 0;
  const adopt = begun && again === null;
  const { launcher, place } = adopt ? { launcher: null, place: row.place ?? item.place } : beginningOf(row, item);
  const change: Change = {
    ...unchanged,
    ...{ agendaId: row.agenda_id, index: row.index, attempt: item.attempt, state: 'EXECUTING', message: 'executing' },
    attemptCount: Math.max(1, row.attempt_count),
    launch: adopt ? row.launch : row.launch + 1,
    launcher,
    place,
    worker: item.worker,
    fresh: !adopt,
    scheduled: item.scheduledTime ?? null,
    pulled: item.pulledTime ?? null,
  };
  if ('fault' in resolved) {
    const { fault } = resolved;
    const ending = { ending: 'failed', ...failureOf(fault.code), decision: 'ended' } as const;
    return {
      verdict: { verdict: 'ended', outcome: 'failed' },
      change: { ...change, ...ending, state: 'COMPLETE', message: 'failed', diagnosticEvents: [fault] },
    };
  }
  return {
    verdict: {
      verdict: 'run',
      operationAttempt: change.attemptCount,
      launch: change.launch,
      place,
      type: row.type,
      cid: row.cid,
      customerId: row.customer_id,
      insightId: row.insight_id,
      ...(row.namespace === null ? {} : { namespace: row.namespace }),
      operationId: row.given_id ?? item.operation,
      progressId: row.progress_id,
      payload: resolved.payload,
      ...(adopt ? { adopt } : {}),
      ...(begun ? { lastProgress: lastProgressOf(row, item.operation) } : {}),
      ...(row.timeout === null ? {} : { timeout: row.timeout }),
    },
    change,
  };
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
        again_milliseconds: change.againInMilliseconds,
      };

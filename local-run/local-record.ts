/**
 * The record of one Agenda in memory, in place of the api and its database: it answers a pool worker's requests as the
 * ResourcePool service does, and its rows are those of the database, so that the api's views show them.
 *
 *   WAITING --startOperation--> EXECUTING --finishOperation--> COMPLETE (succeeded | failed | cancelled)
 *      └──────────────────────────finish──────────────────────▶ COMPLETE (skipped)
 *
 * It has one attempt and one process, so nothing needs a lock. What each change does to a row is what `writeChanges` of
 * db/operation/change.ts does; test/parity/local-run.test.ts compares the two on a whole system.
 */
import { randomUUID } from 'node:crypto';
import { type AgendaEnd, firstFailureOf, whyNotStarted, withCause } from '../agenda/end-words.ts';
import { failureOf } from '../agenda/failure.ts';
import { decideAfterLoss, type PastLaunch, waitWhileBlocked } from '../agenda/infrastructure-budget.ts';
import { jsonBytes } from '../agenda/json-bytes.ts';
import type { OperationOutcome } from '../agenda/outcomes.ts';
import { knownWhole } from '../agenda/references.ts';
import { type ResolvedPayload, referencedFault, referredTo, resolvePayload } from '../agenda/resolve-payload.ts';
import type { Agenda, DiagnosticEvent, Json, JsonObject, Operation } from '../agenda/types.ts';
import { defaultAttempts, maximumAttemptsOf } from '../agenda/validate-agenda.ts';
import {
  type AgendaProgressRow,
  agendaProgressView,
  type OperationProgressRow,
  type View,
} from '../api/agenda/agenda-view.ts';
import { isForBudget, type ReportedEnd, reportedEnd, verdictOf } from '../db/operation/reported-end.ts';
import type {
  Fence,
  FinishOperationItem,
  FinishVerdict,
  ProgressVerdict,
  ReportProgressItem,
  StartOperationItem,
  StartVerdict,
} from '../messages/resource-pool.ts';
import { newAgendaRow, newOperationRow } from './new-rows.ts';

/** Hears of each change of an Operation. */
export type Changed = (operation: OperationProgressRow) => void;

/** The record of one Agenda that runs on this machine. */
export class LocalRecord {
  readonly agendaId = randomUUID();
  readonly agenda: AgendaProgressRow;
  readonly operations: readonly OperationProgressRow[];
  readonly #submitted: readonly Operation[];
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #results = new Map<string, Json>();
  readonly #launches = new Map<number, PastLaunch[]>();
  /** In the order in which they ended. */
  readonly #ended: OperationProgressRow[] = [];
  readonly #changed: Changed;
  #cancelled = false;

  constructor(agenda: Agenda, changed: Changed = () => {}) {
    const cid = randomUUID();
    const maximumAttempts = maximumAttemptsOf(agenda.params ?? {}) ?? defaultAttempts;
    this.agenda = newAgendaRow(agenda, { agendaId: this.agendaId, id: randomUUID(), cid, maximumAttempts });
    this.operations = agenda.operations.map((operation, index) => newOperationRow(operation, index, this.agenda));
    this.#submitted = agenda.operations;
    this.#indexes = new Map(agenda.operations.map(({ name }, index) => [name, index]));
    this.#changed = changed;
  }

  /** From now on nothing starts, and what runs is told to end. */
  cancel(): void {
    this.#cancelled = true;
  }

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  /** The message of an Operation that has ended, in which walks have its outcome; undefined while it has no end. */
  outcomeOf(index: number): OperationOutcome | undefined {
    const row = this.operations[index];
    return row?.processingState === 'COMPLETE' ? (row.processingStateMessage as OperationOutcome) : undefined;
  }

  /** As an AgendaProgress with its Operations is answered by the api. */
  view(): View {
    return agendaProgressView(this.agenda, this.operations);
  }

  async startOperation(item: StartOperationItem): Promise<StartVerdict> {
    const row = this.#row(item);
    if (row.processingState === 'COMPLETE') return { verdict: 'ended', outcome: row.processingStateMessage };
    if (this.#cancelled) return { verdict: 'cancelled' };
    const again = row.againTime === null ? 0 : row.againTime.getTime() - Date.now();
    if (again > 0) return { verdict: 'later', inMilliseconds: again };
    const submitted = this.#submittedOf(row);
    const resolved = this.#resolve(submitted);
    const begun = row.launch > 0;
    const lastProgress = begun ? { lastProgress: lastProgressOf(row) } : {};
    const adopt = begun && row.againTime === null;
    if (!adopt) this.#launch(row, item);
    if ('fault' in resolved) {
      const { code } = resolved.fault;
      this.#end(row, {
        ...{ outcome: 'failed', ending: 'failed', failure: failureOf(code), events: [resolved.fault], result: null },
      });
      return { verdict: 'ended', outcome: 'failed' };
    }
    this.#changed(row);
    return {
      verdict: 'run',
      ...{ operationAttempt: row.attemptCount, launch: row.launch, place: item.place },
      ...{ type: submitted.type, cid: row.cid, customerId: row.customerId, progressId: row.id },
      operationId: submitted.id ?? row.operation,
      payload: resolved.payload,
      ...(adopt ? { adopt } : {}),
      ...lastProgress,
      ...(submitted.timeout === undefined ? {} : { timeout: submitted.timeout }),
    };
  }

  async reportProgress(items: readonly ReportProgressItem[]): Promise<{ readonly verdict: ProgressVerdict }[]> {
    return items.map((item) => ({ verdict: this.#progress(this.#row(item), item) }));
  }

  async finishOperation(item: FinishOperationItem): Promise<FinishVerdict> {
    const row = this.#row(item);
    if (!isNewest(row, item)) return { verdict: 'over' };
    if (row.processingState === 'COMPLETE') return { verdict: 'stored', outcome: row.processingStateMessage };
    const end = reportedEnd(item, this.#cancelled);
    if (item.startedTime !== undefined) row.startedTime = new Date(item.startedTime);
    if (item.endedTime !== undefined) row.endedTime = new Date(item.endedTime);
    if (item.noticedTime !== undefined) row.noticedTime = new Date(item.noticedTime);
    if (item.params !== undefined) row.params = item.params as JsonObject;
    if (!isForBudget(end, item)) {
      this.#end(row, end);
      return verdictOf(end);
    }
    const launches = this.#launches.get(row.index) ?? [];
    const ranMilliseconds =
      item.startedTime === undefined ? 0 : Math.max(0, (item.endedTime ?? Date.now()) - item.startedTime);
    launches.push({ ...end.failure, ranMilliseconds });
    this.#launches.set(row.index, launches);
    const decision = decideAfterLoss(launches, Math.random());
    if (decision.decision === 'ended') {
      const spent = { code: 'launchesSpent', message: decision.reason, time: Date.now() };
      this.#end(row, { ...end, events: [spent, ...end.events] });
      return verdictOf(end);
    }
    if (end.events.length > 0) row.diagnosticEvents = [...end.events];
    row.processingStateMessage = 'executing';
    row.failureCategory = end.failure.category;
    row.failureCode = end.failure.code;
    row.againTime = new Date(Date.now() + decision.inMilliseconds);
    this.#touch(row);
    return { verdict: 'again', inMilliseconds: decision.inMilliseconds };
  }

  /** Ends an Operation of which nothing runs and nobody will report. */
  endUnreported(index: number, outcome: 'cancelled' | 'abandoned'): void {
    const row = this.operations[index];
    if (row === undefined || row.processingState !== 'EXECUTING') return;
    row.launch += 1;
    row.blockedReason = row.blockedSince = null;
    this.#end(row, { outcome, failure: failureOf(outcome), events: row.diagnosticEvents ?? [], result: null });
  }

  /** Ends the Agenda, and with it each Operation that has no end. */
  finish(end: AgendaEnd): void {
    const { agenda } = this;
    const first = this.#ended.find((row) => row.processingStateMessage === 'failed');
    const cause =
      end.outcome !== 'failed' || first === undefined
        ? undefined
        : firstFailureOf({
            ...{ operation: first.operation, isTimedOut: first.outcome === 'timedOut' },
            events: first.diagnosticEvents,
          });
    for (const row of this.operations) {
      this.endUnreported(row.index, 'abandoned');
      if (row.processingState !== 'COMPLETE') this.#skip(row, whyNotStarted(end, cause));
    }
    const { outcome, message } = withCause(end, cause);
    agenda.processingState = 'COMPLETE';
    agenda.processingStateMessage = agenda.outcome = outcome;
    if (outcome === 'succeeded') agenda.percentComplete = 100;
    agenda.attemptsCompleted += 1;
    agenda.completedTime = agenda.updatedTime = new Date();
    if (message !== undefined)
      agenda.diagnosticEvents = [...(agenda.diagnosticEvents ?? []), { message, code: outcome, time: Date.now() }];
  }

  #skip(row: OperationProgressRow, reason: string): void {
    row.processingState = 'COMPLETE';
    row.processingStateMessage = row.outcome = 'skipped';
    row.diagnosticEvents = [{ message: `Not started: ${reason}`, code: 'skipped', time: Date.now() }];
    row.completedTime = row.updatedTime = new Date();
    this.#changed(row);
  }

  /** What an earlier launch showed of itself begins anew. */
  #launch(row: OperationProgressRow, item: StartOperationItem): void {
    const now = new Date();
    row.processingState = 'EXECUTING';
    row.processingStateMessage = 'executing';
    if (row.attemptCount === 0) row.attemptTime = now;
    row.attemptCount = Math.max(1, row.attemptCount);
    row.launch += 1;
    row.percentComplete = 0;
    row.place = item.place;
    row.worker = item.worker;
    row.scheduledTime = item.scheduledTime === undefined ? null : new Date(item.scheduledTime);
    row.pulledTime = item.pulledTime === undefined ? null : new Date(item.pulledTime);
    row.startedTime = row.updatedTime = now;
    row.endedTime = row.noticedTime = row.againTime = row.blockedSince = null;
    row.diagnosticEvents = row.failureCategory = row.failureCode = row.blockedReason = null;
    const { agenda } = this;
    agenda.updatedTime = now;
    if (agenda.processingState !== 'WAITING') return;
    agenda.processingState = 'EXECUTING';
    agenda.processingStateMessage = 'Running Operations';
    agenda.startedTime = now;
  }

  #progress(row: OperationProgressRow, item: ReportProgressItem): ProgressVerdict {
    if (row.processingState === 'COMPLETE' && isNewest(row, item)) return { verdict: 'over', ended: true };
    if (row.processingState !== 'EXECUTING' || !isNewest(row, item) || row.againTime !== null)
      return { verdict: 'over' };
    const { blocked, message, percentComplete, diagnosticEvents, params, startedTime } = item;
    if (message !== undefined) row.processingStateMessage = message;
    if (percentComplete !== undefined) row.percentComplete = Math.max(row.percentComplete, percentComplete);
    if (diagnosticEvents !== undefined) row.diagnosticEvents = diagnosticEvents as DiagnosticEvent[];
    if (params !== undefined) row.params = params as JsonObject;
    if (startedTime !== undefined) {
      row.startedTime = new Date(startedTime);
      row.blockedReason = row.blockedSince = null;
    }
    const waited = row.blockedSince === null ? 0 : Date.now() - row.blockedSince.getTime();
    if (blocked !== undefined) {
      row.blockedReason = blocked.reason;
      row.blockedSince ??= new Date();
    }
    this.#touch(row);
    if (this.#cancelled) return { verdict: 'cancelled' };
    return blocked === undefined
      ? { verdict: 'ok' }
      : { verdict: 'ok', inMilliseconds: waitWhileBlocked(waited, Math.random()) };
  }

  #end(
    row: OperationProgressRow,
    {
      outcome,
      failure,
      events,
      result,
    }: Pick<ReportedEnd, 'failure' | 'events' | 'result'> & { readonly outcome: OperationOutcome },
  ): void {
    row.processingState = 'COMPLETE';
    row.processingStateMessage = outcome;
    row.outcome = failure?.category === 'timeout' ? 'timedOut' : outcome;
    if (outcome === 'succeeded') row.percentComplete = 100;
    if (result !== null) row.resultPayload = result;
    if (events.length > 0) row.diagnosticEvents = [...events];
    row.failureCategory = failure?.category ?? row.failureCategory;
    row.failureCode = failure?.code ?? row.failureCode;
    row.againTime = row.blockedSince = row.blockedReason = null;
    row.completedTime = new Date();
    this.#ended.push(row);
    if (outcome === 'succeeded') this.#results.set(row.operation, JSON.parse(row.resultPayload ?? 'null') as Json);
    else this.agenda.failing = true;
    this.#touch(row);
  }

  /** Tells of a change, and brings what the Agenda shows of it up to date: a weighted percent that never falls. */
  #touch(row: OperationProgressRow): void {
    row.updatedTime = this.agenda.updatedTime = new Date();
    const weights = this.#submitted.map(({ weight }) => weight ?? 1);
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    const done = this.operations.reduce((sum, each, index) => sum + (weights[index] ?? 1) * each.percentComplete, 0);
    this.agenda.percentComplete = Math.max(this.agenda.percentComplete, Math.min(100, done / whole));
    this.#changed(row);
  }

  #resolve({ name, payload: submitted }: Operation): ResolvedPayload {
    const payload = submitted === undefined || submitted === null ? null : JSON.stringify(submitted);
    const results = new Map<string, Json>();
    for (const other of referredTo(payload).keys()) {
      const result = this.#results.get(other);
      if (result !== undefined) results.set(other, result);
    }
    const fault = referencedFault(
      name,
      [...results].map(([other, result]) => ({ name: other, bytes: jsonBytes(result) })),
    );
    if (fault !== undefined) return { fault };
    const known = new Map([...results].map(([other, result]) => [other, knownWhole(result)] as const));
    return resolvePayload({ agendaId: this.agendaId, name, payload }, known);
  }

  #row({ operation }: { readonly operation: string }): OperationProgressRow {
    const row = this.operations[this.#indexes.get(operation) ?? -1];
    if (row === undefined) throw new Error(`The Agenda has no Operation ${operation}.`);
    return row;
  }

  #submittedOf(row: OperationProgressRow): Operation {
    const operation = this.#submitted[row.index];
    if (operation === undefined) throw new Error(`The Agenda has no Operation ${row.operation}.`);
    return operation;
  }
}

const isNewest = (row: OperationProgressRow, item: Pick<Fence, 'operationAttempt' | 'launch'>): boolean =>
  row.attemptCount === item.operationAttempt && row.launch === item.launch;

/** What an earlier launch left, in the shape of POP's LAST_PROGRESS. */
function lastProgressOf(row: OperationProgressRow): string {
  return JSON.stringify({
    id: row.id,
    operation: row.operation,
    processingState: row.processingState,
    processingStateMessage: row.processingStateMessage,
    percentComplete: row.percentComplete,
    attemptCount: row.attemptCount,
    ...(row.params === null ? {} : { params: row.params }),
    ...(row.diagnosticEvents === null ? {} : { diagnosticEvents: row.diagnosticEvents }),
  });
}

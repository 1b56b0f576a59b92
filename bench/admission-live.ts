/**
 * Admission with the real api, control worker and Temporal. No pool worker runs, so what is started stays where it is.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { flipWake } from '../db/admission/wake.ts';
import { finishAgenda } from '../db/agenda/finish-agenda.ts';
import type { Database } from '../db/connect.ts';
import type { System } from '../machine/system.ts';
import type { TemporalClient } from '../temporal/connect.ts';
import { signalWoken } from '../temporal/signal-insights.ts';
import { plainNames } from '../workflows/names.ts';
import { inParallel } from './in-parallel.ts';
import { bounded, compared, median, quantile, type Row } from './report.ts';
import type { WaitingRecord } from './waiting-record.ts';

const rounds = 3;
/** Agendas started in a round, and as many bare workflows. */
const starts = 200;
/** Requests that a bare loop has under way, as many as ours has. */
const startLanes = 25;
/** Agendas that run while places become free. */
const running = 100;
const freedPlaces = 120;
const explained = 200;

/** The running system, and where progress is told. */
export interface LiveParts {
  readonly system: System;
  readonly client: TemporalClient;
  readonly database: Database;
  readonly record: WaitingRecord;
  readonly say: (line: string) => void;
}

/** Rows of the table, measured one after the other on one system. */
export class AdmissionLive {
  readonly #parts: LiveParts;
  #bareWorkflows = 0;
  /** What could not be measured, for the note under the table. */
  readonly notes: string[] = [];

  constructor(parts: LiveParts) {
    this.#parts = parts;
  }

  get #depth(): string {
    return `${this.#parts.record.depth.toLocaleString('en')} waiting`;
  }

  /** Resolves once admission knows of everything that happened. */
  async settled(): Promise<void> {
    const { record, say } = this.#parts;
    say(`${this.#depth}: until all is taken in`);
    await this.#wake([record.insightId]);
    const begun = performance.now();
    while ((await record.unsettled()) > 0) {
      if (performance.now() - begun > 60_000) throw new Error('the control worker takes nothing in');
      await delay(50);
    }
  }

  /**
   * From a raised limit to all first tasks done, against starting as many workflows that do one local activity and
   * schedule one remote.
   */
  async starts(): Promise<Row> {
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round++) {
      this.#parts.say(`${this.#depth}: starts, round ${round + 1} of ${rounds}`);
      ours.push(await this.#startOurs());
      bare.push(await this.#startBare());
    }
    return compared(`${this.#depth}: Agendas started, first task done`, median(ours), '/s', median(bare), {
      atLeast: 0.7,
    });
  }

  /** A place becomes free, one at a time: until the next Agenda has it. */
  async freePlaces(): Promise<Row[]> {
    const { record, say } = this.#parts;
    say(`${this.#depth}: free places`);
    await record.limit(running);
    await this.#wake([record.insightId]);
    await this.#untilStarted(running);
    const milliseconds: number[] = [];
    for (let n = 0; n < freedPlaces; n++) {
      // Not in step with the ticks of admission: 0 to 400 ms, the same in each run.
      await delay((n * 157) % 401);
      milliseconds.push(await this.#freeOne());
    }
    await this.#endAll();
    return [
      bounded(`${this.#depth}: free place to admitted, p50`, quantile(milliseconds, 0.5), 'ms', { atMost: 100 }),
      bounded(`${this.#depth}: free place to admitted, p99`, quantile(milliseconds, 0.99), 'ms', { atMost: 500 }),
    ];
  }

  async explanations(): Promise<Row[]> {
    const { record, system, say } = this.#parts;
    say(`${this.#depth}: explanations`);
    const ids = await record.someWaiting(explained);
    const rates: number[][] = [];
    for (let round = 0; round < rounds; round++) {
      const milliseconds: number[] = [];
      for (const id of ids) {
        const begun = performance.now();
        const response = await fetch(`${system.urls.api}/agenda/${id}/explain`, {
          headers: { authorization: `Bearer ${system.keys.operator}` },
        });
        const text = await response.text();
        milliseconds.push(performance.now() - begun);
        if (response.status === 404) {
          this.notes.push(`${this.#depth}: the api has no explanations`);
          return [];
        }
        if (!response.ok) throw new Error(`explanation of ${id}: ${response.status} ${text}`);
      }
      rates.push(milliseconds);
    }
    const least = (part: number): number => Math.min(...rates.map((milliseconds) => quantile(milliseconds, part)));
    return [
      bounded(`${this.#depth}: explanation over HTTP, p50`, least(0.5), 'ms', { atMost: 10 }),
      bounded(`${this.#depth}: explanation over HTTP, p99`, least(0.99), 'ms', { atMost: 10 }),
    ];
  }

  async #startOurs(): Promise<number> {
    const { record, database, say } = this.#parts;
    const begun = Date.now();
    await record.limit(starts);
    await this.#wake([record.insightId]);
    await this.#untilStarted(starts);
    const agendas = await record.running();
    const last = await this.#firstTasksDone(agendas.map(({ agendaId }) => plainNames.agendaWorkflow(agendaId)));
    const [at] = await database.$client<{ admitted: number; marked: number }[]>`
      select
        extract(epoch from max(admitted_time))::float8 * 1000 as admitted,
        extract(epoch from max(started_time))::float8 * 1000 as marked
      from running_agenda where insight_id = ${record.insightId}`;
    const since = (time = Number.NaN): string => `${(time - begun).toFixed(0)} ms`;
    say(
      `  all admitted after ${since(at?.admitted)}, marked started after ${since(at?.marked)}, ` +
        `first tasks done after ${since(last)}`,
    );
    await this.#endAll();
    return (starts * 1000) / (last - begun);
  }

  async #startBare(): Promise<number> {
    const { client, say } = this.#parts;
    const begun = Date.now();
    const handles = await inParallel(starts, startLanes, () =>
      client.workflow.start('bareStart', { taskQueue: 'bare', workflowId: `bare-start-${++this.#bareWorkflows}` }),
    );
    const returned = Date.now();
    const last = await this.#firstTasksDone(handles.map(({ workflowId }) => workflowId));
    say(`  bare: starts answered after ${returned - begun} ms, first tasks done after ${(last - begun).toFixed(0)} ms`);
    await inParallel(starts, startLanes, async (n) => {
      await handles[n]?.terminate();
    });
    return (starts * 1000) / (last - begun);
  }

  /**
   * Time at which the last of these workflows scheduled its activity, by the record of the Temporal server. That is the
   * end of its first task.
   */
  async #firstTasksDone(workflowIds: readonly string[]): Promise<number> {
    // One after the other, the last one first: asking is not to cost the server much while it works.
    const times: number[] = [];
    for (const workflowId of workflowIds.toReversed()) times.push(await this.#firstTaskDone(workflowId));
    return Math.max(...times);
  }

  async #firstTaskDone(workflowId: string): Promise<number> {
    for (;;) {
      const { events } = await this.#parts.client.workflow.getHandle(workflowId).fetchHistory();
      const scheduled = events?.find((event) => event.activityTaskScheduledEventAttributes != null)?.eventTime;
      if (scheduled != null) return Number(scheduled.seconds) * 1000 + (scheduled.nanos ?? 0) / 1e6;
      await delay(100);
    }
  }

  /** Ends the oldest that runs, and answers after how many milliseconds another has its place. */
  async #freeOne(): Promise<number> {
    const { client, database, record } = this.#parts;
    const [oldest] = await record.running();
    if (oldest === undefined) throw new Error('nothing runs');
    const { wakeInsights } = await finishAgenda(database, oldest, { outcome: 'succeeded' });
    const begun = performance.now();
    await this.#wake(wakeInsights);
    while ((await record.countRunning()).all < running) await delay(2);
    const milliseconds = performance.now() - begun;
    await client.workflow.getHandle(plainNames.agendaWorkflow(oldest.agendaId)).terminate();
    await this.#untilStarted(running);
    return milliseconds;
  }

  async #wake(insightIds: readonly string[]): Promise<void> {
    await signalWoken(this.#parts.client, await flipWake(this.#parts.database, insightIds));
  }

  async #untilStarted(count: number): Promise<void> {
    for (;;) {
      const { all, started } = await this.#parts.record.countRunning();
      if (all === count && started === count) return;
      await delay(50);
    }
  }

  /** Nothing is admitted any more, and what runs is over. */
  async #endAll(): Promise<void> {
    const { client, database, record } = this.#parts;
    await record.limit(0);
    const agendas = await record.running();
    await inParallel(agendas.length, startLanes, async (n) => {
      const key = agendas[n];
      if (key === undefined) return;
      await client.workflow.getHandle(plainNames.agendaWorkflow(key.agendaId)).terminate();
      await finishAgenda(database, key, { outcome: 'cancelled' });
    });
  }
}

/**
 * A whole running system for one file of fault tests, with limits small enough to matter, and the proof that every
 * test ends with: what was accepted has ended, with each of its Operations, and events tell the same as the record;
 * nothing ran twice to a visible end, all places are free, no process is left, no limit was ever exceeded.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import postgres from 'postgres';
import { expect } from 'vitest';
import { isAlive } from '../../launchers/local/process-identity.ts';
import type { ProcessIdentity } from '../../launchers/local/run-files.ts';
import { GuardedProcess } from '../../machine/guarded-process.ts';
import { type PartName, partNames, System } from '../../machine/system.ts';
import { plainNames } from '../../workflows/names.ts';
import { eventsAgainstRecord } from '../support/events-against-record.ts';
import type { TestAnswer } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { RecordWatch } from './record-watch.ts';
import { countPerOperation, readWitness, type Witnessed } from './witness-file.ts';

/** Faults are noticed within seconds here, not within minutes. */
export const heartbeatSeconds = 3;
const settings = {
  POP_HEARTBEAT_SECONDS: String(heartbeatSeconds),
  POP_CANCEL_SECONDS: '20',
  POP_QUIET_SECONDS: '4',
  POP_SWEEP_SECONDS: '1',
  POP_REAP_SECONDS: '2',
};
/** Limits of the one Insight and its pool. */
export const limits = { queueSize: 2, maximumRunning: 3, slots: 3 } as const;
/** The Customer of all tests. */
export const customerId = 'fault';
/** The Insight of all tests. */
export const insightId = 'fault-insight';
const poolId = 'local';
/** Least readings of `limit_breach` in one test. */
const leastSamples = 30;

const handler = (name: string): string => fileURLToPath(new URL(`handlers/${name}`, import.meta.url));

/** Options of a test system. */
export interface TestSystemOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** More entries of the registry, by operation type. */
  readonly types?: Readonly<Record<string, unknown>>;
}

/** A submitted Agenda. */
export interface Agenda {
  readonly id: string;
  readonly progressId: string;
}

/** An Operation of the handler that bears witness. */
export function witness(
  name: string,
  payload: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
) {
  return { name, type: 'witness', payload, ...more };
}

/** A worker that is no part of the system. */
export interface TestWorker extends AsyncDisposable {
  readonly process: GuardedProcess;
  log(): Promise<string>;
}

/** A running system that proves itself at the end of each test. */
export class TestSystem implements AsyncDisposable {
  system: System;
  readonly home: string;
  readonly #options: Parameters<typeof System.start>[0];
  readonly #watch: RecordWatch;
  readonly #sql: postgres.Sql;
  #accepted: Agenda[] = [];
  #gates = 0;
  #workers = 0;
  #isProven = true;
  #temporal: Connection | undefined;

  private constructor(system: System, options: Parameters<typeof System.start>[0], watch: RecordWatch) {
    this.system = system;
    this.home = system.home;
    this.#options = options;
    this.#watch = watch;
    this.#sql = postgres(system.urls.database, { max: 2, connect_timeout: 2, backoff: () => 0.05 });
  }

  static async start(options: TestSystemOptions = {}): Promise<TestSystem> {
    const home = await mkdtemp(join(tmpdir(), 'pop-faults-'));
    const registry = join(home, 'registry.json');
    const types = {
      basePodConfig: {
        graceSeconds: 5,
        envVars: { WITNESS: join(home, 'witness'), NODE_COMPILE_CACHE: join(home, 'compiled') },
      },
      witness: { podConfig: { command: ['node', handler('witness.ts')] } },
      ...options.types,
    };
    await writeFile(registry, JSON.stringify(types, undefined, 2));
    const systemOptions = { home, registry, poolId, environment: { ...settings, ...options.environment } };
    const system = await System.start(systemOptions);
    try {
      const test = new TestSystem(system, systemOptions, await RecordWatch.begin(system.urls.database));
      await test.#makeObjects();
      return test;
    } catch (error) {
      await system.stopAll();
      throw error;
    }
  }

  get witnessed(): Witnessed[] {
    return readWitness(join(this.home, 'witness'));
  }

  /** Queries of the record. */
  get sql(): postgres.Sql {
    return this.#sql;
  }

  /** A client of the system's Temporal. */
  temporal(): Client {
    this.#temporal ??= Connection.lazy({ address: this.system.urls.temporal });
    return new Client({ connection: this.#temporal });
  }

  workflow(agenda: Agenda) {
    return this.temporal().workflow.getHandle(plainNames.agendaWorkflow(agenda.id));
  }

  /** Path of a file that is not there yet: what waits for it goes on once it is opened. */
  gate(): { readonly until: string; open(): Promise<void> } {
    this.#gates += 1;
    const path = join(this.home, `gate-${this.#gates}`);
    return { until: path, open: async () => writeFile(path, '') };
  }

  /** One request as the operator, who may do everything. @throws when no answer comes */
  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TestAnswer> {
    const response = await fetch(`${this.system.urls.api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.system.keys.operator}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(30_000),
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  }

  async submit(operations: readonly unknown[], headers: Readonly<Record<string, string>> = {}): Promise<Agenda> {
    const { status, body } = await this.send('POST', '/agenda', { customerId, operations }, headers);
    expect(status, JSON.stringify(body)).toBe(201);
    return this.accepted(body as Agenda);
  }

  /** Notes that the api accepted this Agenda: it must come to an end. */
  accepted({ id, progressId }: Agenda): Agenda {
    if (!this.#accepted.some((agenda) => agenda.id === id)) this.#accepted.push({ id, progressId });
    this.#isProven = false;
    return { id, progressId };
  }

  async progress(agenda: Agenda) {
    const { status, body } = await this.send('GET', `/progress/agenda/${agenda.progressId}`);
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** The AgendaProgress once the Agenda has ended; the api may be away meanwhile. */
  async ended(agenda: Agenda, seconds = 60) {
    return until(
      `Agenda ${agenda.id} has ended`,
      async () => {
        const progress = await this.progress(agenda);
        return progress.processingState === 'COMPLETE' && progress;
      },
      seconds,
    );
  }

  async allSucceed(agendas: readonly Agenda[], seconds?: number): Promise<void> {
    for (const progress of await Promise.all(agendas.map((agenda) => this.ended(agenda, seconds)))) {
      expect(progress.processingStateMessage, JSON.stringify(progress)).toBe('succeeded');
    }
  }

  async cancel({ id }: Agenda): Promise<string> {
    const { status, body } = await this.send('POST', `/agenda/${id}/cancel`);
    expect(status, JSON.stringify(body)).toBe(202);
    return body.state;
  }

  /** The line of a handler's start, once it is there. */
  async handlerStarted({ id }: Agenda, operation: string): Promise<Witnessed> {
    return until(`the handler of ${operation} started`, () =>
      this.witnessed.find((line) => line.what === 'start' && line.agendaId === id && line.operation === operation),
    );
  }

  /** Resolves when the pool worker of this process has the activity of the Agenda's only Operation under way. */
  async heldBy(agenda: Agenda, pid: number | undefined, seconds = 30): Promise<void> {
    await until(
      `pool worker ${pid} has the Operation`,
      async () => {
        const { raw } = await this.workflow(agenda).describe();
        const [pending] = raw.pendingActivities ?? [];
        return pending?.state === 2 && pending.lastWorkerIdentity?.includes(`:${pid}:`);
      },
      seconds,
    );
  }

  async log(part: PartName): Promise<string> {
    return readFile(this.system.logFile(part), 'utf8');
  }

  /**
   * Another worker of this system, on this host, with the settings of the system's own. Ended, and gone, at the end of
   * its scope.
   */
  worker(part: 'control' | 'pool', settings: Readonly<Record<string, string>> = {}): TestWorker {
    const { urls, keys, runDirectory } = this.system;
    this.#workers += 1;
    const logFile = join(this.home, `${part}-${this.#workers}.log`);
    const ofPart =
      part === 'control'
        ? { DATABASE_URL: urls.database }
        : {
            POP_URL: urls.api,
            POP_API_KEY: keys.pool,
            POP_POOL_ID: poolId,
            POP_REGISTRY: this.#options.registry,
            POP_RUN_DIRECTORY: runDirectory,
          };
    const worker = new GuardedProcess({
      command: [process.execPath, fileURLToPath(new URL(`../../workers/${part}.ts`, import.meta.url))],
      logFile,
      environment: {
        ...process.env,
        ...this.#options.environment,
        TEMPORAL_ADDRESS: urls.temporal,
        ...ofPart,
        ...settings,
      },
    });
    return {
      process: worker,
      log: async () => readFile(logFile, 'utf8'),
      [Symbol.asyncDispose]: async () => void (await worker.stop()),
    };
  }

  /** A second pool worker, ready. */
  async secondPoolWorker(): Promise<TestWorker> {
    const second = this.worker('pool');
    await until('the second pool worker is ready', async () => (await second.log()).includes('pool worker ready'));
    return second;
  }

  /** Every row of every table of the record, as text. */
  async everyRow(): Promise<Record<string, string[]>> {
    const tables = await this.#sql<{ name: string }[]>`
      select table_name as name from information_schema.tables
      where table_schema = 'public' and table_type = 'BASE TABLE'`;
    const rows = await Promise.all(
      tables.map(async ({ name }) => {
        const found = await this.#sql<{ row: string }[]>`select t::text as row from ${this.#sql(name)} t order by 1`;
        return [name, found.map(({ row }) => row)] as const;
      }),
    );
    return Object.fromEntries(rows);
  }

  /** Resolves when the process is gone. */
  async gone(identity: ProcessIdentity, seconds = 30): Promise<void> {
    await until(`process ${identity.pid} is gone`, () => !isAlive(identity), seconds);
  }

  /** Starts the same system again on the same home after an orderly stop. */
  async restart(): Promise<void> {
    await this.system.stopAll();
    this.system = await System.start({ ...this.#options, ports: this.system.ports });
  }

  /**
   * Asserts, at the end of a test, what no fault may break. `mostLaunches` is how often an Operation may have been
   * started in all; more than once only where the test takes its handlers away.
   */
  async prove({ mostLaunches = 1 }: { readonly mostLaunches?: number } = {}): Promise<void> {
    const agendas = this.#accepted;
    const lines = this.witnessed.filter((line) => agendas.some(({ id }) => id === line.agendaId));
    await Promise.all(agendas.map((agenda) => this.ended(agenda)));
    await until('all places are free', async () => {
      const rows = await this.#sql`select agenda_id from running_agenda union all select agenda_id from ready_agenda`;
      return rows.length === 0;
    });
    expect(await eventsAgainstRecord({ $client: this.#sql }), 'events tell what the record has').toEqual([]);
    const [left] = await this.#sql`
      select count(*)::int as waiting from operation_progress p join agenda_progress g on g.agenda_id = p.agenda_id
      where g.processing_state = 'COMPLETE' and p.processing_state <> 'COMPLETE'`;
    expect(left, 'nothing is left without an end').toEqual({ waiting: 0 });
    for (const { self, child } of lines)
      for (const identity of [self, ...(child === undefined ? [] : [child])]) await this.gone(identity);
    for (const [operation, ends] of countPerOperation(this.witnessed, 'end')) {
      const told = this.witnessed.filter((line) => `${line.agendaId} ${line.operation}` === operation);
      expect(ends, `ends of ${operation}: ${JSON.stringify(told)}`).toBe(1);
    }
    for (const [operation, starts] of countPerOperation(lines, 'start')) {
      expect(starts, `starts of ${operation}`).toBeLessThanOrEqual(mostLaunches);
    }
    // A short test has fewer so far; one that watches nothing never gets there.
    await until('the record was looked at often enough', async () => this.#watch.samples >= leastSamples);
    const seen = await this.#watch.take();
    expect(seen.faults).toEqual([]);
    expect(seen.breaches).toEqual([]);
    const completed = seen.transitions.filter(({ after }) => after === 'COMPLETE').map(({ id }) => id);
    expect(
      completed.filter((id, index) => completed.indexOf(id) !== index),
      'ended twice in the record',
    ).toEqual([]);
    expect(
      seen.transitions.filter(({ before }) => before === 'COMPLETE'),
      'changed after their end',
    ).toEqual([]);
    this.#accepted = [];
    this.#isProven = true;
  }

  /** Brings back what a test, failed or not, left dead, so that the next one begins with a whole system. */
  async heal(): Promise<void> {
    for (const part of partNames) await this.system.start(part);
    const open = await this.#sql<
      { id: string }[]
    >`select agenda_id as id from running_agenda union all select agenda_id from ready_agenda`;
    for (const { id } of open) await this.send('POST', `/agenda/${id}/cancel`);
    await until(
      'what a failed test left has ended',
      async () => (await this.#sql`select 1 from running_agenda`).length === 0,
    );
    if (!this.#isProven) await this.#watch.take();
    this.#accepted = [];
    this.#isProven = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    await this.#sql.end({ timeout: 1 });
    await this.#temporal?.close();
    await this.system.stopAll();
    if (process.env.POP_KEEP === undefined)
      await rm(this.home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    else console.log(`kept: ${this.home}`);
  }

  async #makeObjects(): Promise<void> {
    const { queueSize, maximumRunning, slots } = limits;
    const objects = [
      ['/resourcepool', { id: poolId, customerId: 'operations', title: 'Faults', capacity: { slots } }],
      ['/customer', { id: customerId, customerId, title: 'Faults', resourcePoolId: poolId }],
      [
        '/insight',
        {
          id: insightId,
          customerId,
          title: 'Faults',
          resourcePoolId: poolId,
          mappers: { always: [] },
          queueSize,
          maximumRunning,
        },
      ],
    ] as const;
    for (const [path, object] of objects) {
      const { status, body } = await this.send('POST', path, object);
      if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    }
  }
}

/**
 * A running system for crash tests of admission: one pool of few slots, two Insights, three customers with weights and
 * caps, and control workers that die where they are told to. Each test submits its Agendas while no control worker
 * runs, has the workers do and die, and proves at its end what no death may break.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import postgres from 'postgres';
import { expect } from 'vitest';
import { type Ending, GuardedProcess } from '../../../machine/guarded-process.ts';
import { System } from '../../../machine/system.ts';
import { agendaWorkflowType } from '../../../workflows/names.ts';
import { until } from '../../support/until.ts';
import { RecordWatch } from '../record-watch.ts';
import { forgetBatches, noteStanding, watchAdmission } from './admission-watch.ts';
import type { ControlFaults } from './control-with-fault-points.ts';
import { customers, insights, parts, slots } from './entitlements.ts';
import { proveAdmissions } from './prove-admissions.ts';

const poolId = 'local';
const settings = {
  POP_HEARTBEAT_SECONDS: '3',
  POP_CANCEL_SECONDS: '20',
  POP_QUIET_SECONDS: '3',
  POP_SWEEP_SECONDS: '0.5',
  POP_REAP_SECONDS: '2',
};
/** Least readings of `limit_breach` in one test. */
const leastSamples = 100;
const entry = fileURLToPath(new URL('control-with-fault-points.ts', import.meta.url));

/** What a submission answered. */
export interface Agenda {
  readonly id: string;
  readonly progressId: string;
}

/** A control worker that dies where it is told to. Ended, and gone, at the end of its scope. */
export interface ControlWorker extends AsyncDisposable {
  readonly process: GuardedProcess;
  /** It is loaded and waits for this before it does anything. */
  go(): void;
  readonly logFile: string;
}

/** One per test file; its tests share the processes, not the Agendas. */
export class AdmissionSystem implements AsyncDisposable {
  readonly system: System;
  readonly sql: postgres.Sql;
  readonly #watch: RecordWatch;
  readonly #connection: Connection;
  #submitted: Agenda[] = [];
  #begun = new Date(0);
  #workers = 0;

  private constructor(system: System, watch: RecordWatch) {
    this.system = system;
    this.#watch = watch;
    this.sql = postgres(system.urls.database, { max: 2, connect_timeout: 2, backoff: () => 0.05 });
    this.#connection = Connection.lazy({ address: system.urls.temporal });
  }

  static async start(): Promise<AdmissionSystem> {
    const home = await mkdtemp(join(tmpdir(), 'pop-crashes-'));
    const registry = join(home, 'registry.json');
    const noOp = { podConfig: { launch: 'inProcess', function: 'noOp' } };
    await writeFile(registry, JSON.stringify({ basePodConfig: {}, alpha: noOp, beta: noOp }));
    const system = await System.start({ home, registry, poolId, environment: settings, without: ['control'] });
    try {
      const it = new AdmissionSystem(system, await RecordWatch.begin(system.urls.database));
      await it.#makeObjects();
      await watchAdmission(it.sql);
      return it;
    } catch (error) {
      await system.stopAll();
      throw error;
    }
  }

  /**
   * `count` Agendas of one Operation each, two in three of them for the first Insight; to be called while no control
   * worker runs.
   */
  async submit(count = 200): Promise<void> {
    this.#begun = await this.#now();
    const owners = Object.entries(parts).flatMap(([customerId, part]) =>
      Array<string>(Math.round((part * count) / 200)).fill(customerId),
    );
    // One customer's after the other's: the oldest first would be far from fair.
    for (const [n, customerId] of owners.entries()) {
      const operations = [{ name: 'only', type: n % 3 === 2 ? 'beta' : 'alpha' }];
      this.#submitted.push((await this.#call('POST', '/agenda', { customerId, operations })) as Agenda);
    }
    await noteStanding(this.sql);
  }

  /** A file that control workers of one test share. */
  deaths(): Deaths {
    this.#workers += 1;
    return new Deaths(join(this.system.home, `deaths-${this.#workers}`));
  }

  control(faults: Omit<ControlFaults, 'go'> = {}): ControlWorker {
    const { urls, home } = this.system;
    this.#workers += 1;
    const logFile = join(home, `control-${this.#workers}.log`);
    const go = join(home, `go-${this.#workers}`);
    const worker = new GuardedProcess({
      command: [process.execPath, entry, JSON.stringify({ ...faults, go } satisfies ControlFaults)],
      logFile,
      environment: {
        ...process.env,
        ...settings,
        DATABASE_URL: urls.database,
        TEMPORAL_ADDRESS: urls.temporal,
        // Many are started: what one has compiled the next one has.
        NODE_COMPILE_CACHE: join(home, 'compiled'),
      },
    });
    return {
      process: worker,
      logFile,
      go: () => writeFileSync(go, ''),
      [Symbol.asyncDispose]: async () => {
        worker.kill('SIGKILL');
        await worker.ended;
      },
    };
  }

  /** One control worker after the other, until all Agendas have ended. */
  async controlInTurn(faults: Omit<ControlFaults, 'go'>): Promise<void> {
    await using workers = new AsyncDisposableStack();
    let next = workers.use(this.control(faults));
    for (;;) {
      const worker = next;
      // The next one is loaded while this one works.
      next = workers.use(this.control(faults));
      if ((await this.#doneOrDead(worker)) === 'done') return;
    }
  }

  /** As above, and after each death one that does not die works until so many more Agendas have ended. */
  async controlSingly(faults: Omit<ControlFaults, 'go'>, more: number): Promise<void> {
    await using workers = new AsyncDisposableStack();
    let next = workers.use(this.control(faults));
    for (;;) {
      const worker = next;
      const healthy = workers.use(this.control());
      if ((await this.#doneOrDead(worker)) === 'done') return;
      next = workers.use(this.control(faults));
      healthy.go();
      await this.untilLeft(Math.max(0, (await this.left()) - more));
      await healthy[Symbol.asyncDispose]();
    }
  }

  /** Resolves when no more than so many Agendas have not ended. */
  async untilLeft(most: number): Promise<void> {
    await until(`at most ${most} Agendas have not ended`, async () => (await this.left()) <= most, 240);
  }

  /** How many Agendas have not ended. */
  async left(): Promise<number> {
    const [row] = await this.sql<{ count: number }[]>`
      select ((select count(*) from ready_agenda) + (select count(*) from running_agenda))::int as count`;
    return row?.count ?? 0;
  }

  /** Asserts, at the end of a test, what no death may break. */
  async prove(): Promise<void> {
    const { sql } = this;
    await this.untilLeft(0);
    const ends = await sql<{ message: string; attempts: number; launch: number; count: number }[]>`
      select p.processing_state_message as message, p.attempts_completed as attempts, o.launch, count(*)::int as count
      from agenda_progress p join operation_progress o on o.agenda_id = p.agenda_id
      where p.agenda_id = any(${this.#ids}) group by 1, 2, 3`;
    expect(ends, 'each ran once to its end').toEqual([
      { message: 'succeeded', attempts: 1, launch: 1, count: this.#ids.length },
    ]);
    const client = new Client({ connection: this.#connection });
    await until('no workflow of an Agenda is open', async () => {
      const { count } = await client.workflow.count(
        `WorkflowType = '${agendaWorkflowType}' and ExecutionStatus = 'Running'`,
      );
      return count === 0;
    });
    await until('the record was looked at often enough', async () => this.#watch.samples >= leastSamples);
    const seen = await this.#watch.take();
    expect(seen.faults).toEqual([]);
    expect(seen.breaches).toEqual([]);
    const completed = seen.transitions.filter(({ after }) => after === 'COMPLETE').map(({ id }) => id);
    expect(new Set(completed).size, 'ended once in the record').toBe(completed.length);
    expect(
      seen.transitions.filter(({ before }) => before === 'COMPLETE'),
      'changed after their end',
    ).toEqual([]);
    await proveAdmissions(sql, this.#ids, { from: this.#begun, to: await this.#now() });
    this.#submitted = [];
  }

  /**
   * Brings back what a test, failed or not, left dead, and takes away what it left waiting, so that the next one begins
   * with a whole system.
   */
  async heal(): Promise<void> {
    for (const part of ['postgres', 'temporal', 'api', 'pool'] as const) await this.system.start(part);
    if (this.#submitted.length === 0) return;
    await using worker = this.control();
    worker.go();
    await this.untilLeft(0);
    await this.#watch.take();
    await forgetBatches(this.sql);
    this.#submitted = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    await this.sql.end({ timeout: 1 });
    await this.#connection.close();
    await this.system.stopAll();
    if (process.env.POP_KEEP === undefined)
      await rm(this.system.home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    else console.log(`kept: ${this.system.home}`);
  }

  get #ids(): string[] {
    return this.#submitted.map(({ id }) => id);
  }

  /** By the clock of the record. */
  async #now(): Promise<Date> {
    const [row] = await this.sql<{ now: Date }[]>`select clock_timestamp() as now`;
    if (row === undefined) throw new Error('the record has no clock');
    return row.now;
  }

  /** @throws when the worker ended of a fault of its own */
  async #doneOrDead(worker: ControlWorker): Promise<'done' | 'dead'> {
    worker.go();
    const over = { ending: undefined as Ending | undefined };
    void worker.process.ended.then((ending) => Object.assign(over, { ending }));
    const seen = await until(
      'all Agendas have ended, or the control worker has',
      async () => (over.ending === undefined ? (await this.left()) === 0 && ('done' as const) : ('dead' as const)),
      120,
    );
    if (seen === 'dead' && over.ending?.signal !== 'SIGKILL') {
      const log = await readFile(worker.logFile, 'utf8');
      throw new Error(`a control worker ended by itself, ${JSON.stringify(over.ending)}: ${log.slice(-3000)}`);
    }
    return seen;
  }

  async #makeObjects(): Promise<void> {
    await this.#call('POST', '/resourcepool', {
      id: poolId,
      customerId: 'operations',
      title: 'Crashes',
      capacity: { slots },
    });
    for (const [id, entitlement] of Object.entries(customers)) {
      await this.#call('POST', '/customer', { id, customerId: id, title: id, resourcePoolId: poolId, ...entitlement });
    }
    for (const [id, entitlement] of Object.entries(insights)) {
      const common = { id, customerId: 'operations', title: id, resourcePoolId: poolId, isGlobal: true };
      await this.#call('POST', '/insight', {
        ...common,
        mappers: { operationType: [id] },
        costModel: 'count',
        ...entitlement,
      });
    }
  }

  /** One request as the operator. @throws when it is refused */
  async #call(method: string, path: string, body: unknown): Promise<unknown> {
    const response = await fetch(`${this.system.urls.api}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.system.keys.operator}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

/** Where control workers have died: a file that they share. */
export class Deaths {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** `<side> <name>`, in order. */
  get points(): string[] {
    return existsSync(this.file) ? readFileSync(this.file, 'utf8').split('\n').slice(0, -1) : [];
  }
}

/**
 * What `bench:pods` measures on: a cluster whose Pods are on paper, and a whole system with one pool worker that
 * launches Pods there.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { partNames, System } from '../machine/system.ts';
import { type AuditEvent, readAudit } from '../test/kubernetes/cluster/audit.ts';
import { type Cluster, startCluster, untilAccount } from '../test/kubernetes/cluster/cluster.ts';
import { kubeconfigFor } from '../test/kubernetes/cluster/facts.ts';
import { descendants, processorSeconds } from './process-use.ts';

/** Types of the registry, by what becomes of their Pods. */
export type PodType = 'ends' | 'endsLater' | 'stays';

/** An Agenda that was submitted. */
export interface Submitted {
  readonly id: string;
  readonly progressId: string;
}

/** One launch, as the record has it; epoch milliseconds. */
export interface Launch {
  readonly agendaId: string;
  readonly operation: string;
  readonly scheduledTime: number;
  readonly startedTime: number | null;
  readonly noticedTime: number | null;
}

const namespace = 'pool';
const bareNamespace = 'bare';
const workerUser = 'pool-worker';
/** The pool worker takes more than any round has Operations. */
const slots = 3_000;
const createsAtOnce = 20;
const longestRoundMilliseconds = 300_000;

const podConfigs: Readonly<Record<PodType, object>> = {
  ends: {},
  endsLater: { podTemplate: { metadata: { annotations: { 'pop.test/run-for': '300ms' } } } },
  stays: { podTemplate: { metadata: { annotations: { 'pop.test/run-for': 'never' } } } },
};

const say = (line: string) => process.stderr.write(`${line}\n`);

/** The cluster and the system; both end with it. */
export class PodPool implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly system: System;
  readonly home: string;
  /** Where the pool worker's Pods are. */
  readonly namespace = namespace;
  /** Settings of the baseline's process. */
  readonly bareEnvironment: Readonly<Record<string, string>>;
  readonly sql: postgres.Sql;

  private constructor(cluster: Cluster, system: System, home: string, bare: Readonly<Record<string, string>>) {
    this.cluster = cluster;
    this.system = system;
    this.home = home;
    this.bareEnvironment = bare;
    this.sql = postgres(system.urls.database, { max: 2 });
  }

  /** Starts all of it. */
  static async start(): Promise<PodPool> {
    const cluster = await startCluster({ audit: true, users: [{ name: workerUser, groups: ['system:masters'] }], say });
    const home = await mkdtemp(join(tmpdir(), 'pop-bench-'));
    try {
      for (const name of [namespace, bareNamespace])
        await cluster.api.createNamespace({ body: { metadata: { name } } });
      for (const name of [namespace, bareNamespace]) await untilAccount(cluster.api, name);
      const registry = join(home, 'registry.json');
      const types = Object.entries(podConfigs).map(([type, podConfig]) => [type, { podConfig }]);
      const base = { launch: 'kubernetes', imageName: 'none' };
      await writeFile(registry, JSON.stringify({ basePodConfig: base, ...Object.fromEntries(types) }));
      const settings = (kubeconfig: string, own: string) => ({
        POP_KUBECONFIG: kubeconfig,
        POP_NAMESPACE: own,
        POP_PODS_CREATED_AT_ONCE: String(createsAtOnce),
        POP_REGISTRY: registry,
      });
      const environment = {
        ...settings(await cluster.kubeconfigFor(workerUser), namespace),
        POP_CONCURRENCY: String(slots),
      };
      const system = await System.start({ home, registry, environment, say });
      const bare = settings(await kubeconfigFor(cluster.facts, cluster.facts.adminToken), bareNamespace);
      const pool = new PodPool(cluster, system, home, bare);
      await pool.#prepare();
      return pool;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The pool worker's process. */
  get worker(): number {
    const pid = this.system.pid('pool');
    if (pid === undefined) throw new Error('The pool worker does not run.');
    return pid;
  }

  /** Processor time of each part so far, with the processes that it started. */
  processorSeconds(bare: number): Map<string, number> {
    const parts: [string, number | undefined][] = [
      ['bare loop', bare],
      ...partNames.map((name) => [name, this.system.pid(name)] as [string, number | undefined]),
      ...this.cluster.parts.map(({ name, pid }) => [name, pid] as [string, number | undefined]),
    ];
    return new Map(
      parts.map(([name, pid]) => [
        name,
        (pid === undefined ? [] : [pid, ...descendants(pid)]).reduce((sum, each) => sum + processorSeconds(each), 0),
      ]),
    );
  }

  /** A new process without a past. */
  async renewWorker(): Promise<void> {
    await this.system.stop('pool');
    await this.system.start('pool');
  }

  /** What the pool worker asked of the API server so far. */
  async requests(): Promise<readonly AuditEvent[]> {
    return readAudit(this.cluster.facts, workerUser);
  }

  /** Submits an Agenda of so many Operations that need not wait for each other. */
  submit(type: PodType, width: number): Promise<Submitted> {
    const operations = Array.from({ length: width }, (_, n) => ({ name: `o${n}`, type, payload: { name: `o${n}` } }));
    return this.call<Submitted>('POST', '/agenda', { customerId: 'bench', operations });
  }

  /** Resolves once the Agenda succeeded. */
  async untilComplete({ progressId }: Submitted): Promise<void> {
    const giveUp = performance.now() + longestRoundMilliseconds;
    for (;;) {
      if (performance.now() > giveUp) throw new Error(`an Agenda did not end within ${longestRoundMilliseconds} ms`);
      const progress = await this.call<{ processingState: string; processingStateMessage: string }>(
        'GET',
        `/progress/agenda/${progressId}?wait=30s`,
      );
      if (progress.processingState !== 'COMPLETE') continue;
      if (progress.processingStateMessage === 'succeeded') return;
      throw new Error(`an Agenda ended as ${JSON.stringify(progress)}`);
    }
  }

  /** Resolves once nothing runs any more. */
  async untilIdle(): Promise<void> {
    const giveUp = performance.now() + longestRoundMilliseconds;
    while ((await this.sql`select 1 from running_agenda limit 1`).length > 0) {
      if (performance.now() > giveUp) throw new Error(`Agendas still run after ${longestRoundMilliseconds} ms`);
      await delay(200);
    }
  }

  /** All launches of Agendas, in no order. */
  async launches(agendas: readonly Submitted[]): Promise<readonly Launch[]> {
    const ids = agendas.map(({ id }) => id);
    return this.sql<Launch[]>`
      select agenda_id as "agendaId", 'o' || index as operation,
        extract(epoch from scheduled_time)::float8 * 1000 as "scheduledTime",
        extract(epoch from started_time)::float8 * 1000 as "startedTime",
        extract(epoch from noticed_time)::float8 * 1000 as "noticedTime"
      from operation_attempt where agenda_id = any(${ids})`;
  }

  /** Asks the api. */
  async call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.system.urls.api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.system.keys.operator}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sql.end({ timeout: 1 });
    await this.system.stopAll();
    await this.cluster[Symbol.asyncDispose]();
    await rm(this.home, { recursive: true, force: true });
  }

  async #prepare(): Promise<void> {
    const { poolId: id } = this.system;
    await this.call('POST', '/resourcepool', { id, customerId: 'bench', title: 'bench' });
    await this.call('POST', '/customer', { id: 'bench', customerId: 'bench', title: 'bench', resourcePoolId: id });
    await this.call('POST', '/insight', {
      customerId: 'bench',
      title: 'all',
      resourcePoolId: id,
      queueSize: 100_000,
      mappers: { operationType: Object.keys(podConfigs) },
    });
  }
}

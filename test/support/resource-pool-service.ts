/**
 * The real api on a database of its own, for tests of the pool worker. Its answers can be made to fail, and it tells
 * what was asked.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Operation } from '../../agenda/types.ts';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { cancelAgenda } from '../../db/agenda/cancel-agenda.ts';
import { submitAgenda } from '../../db/agenda/submit-agenda.ts';
import { rotateLaunchTokenKeys } from '../../db/operation/launch-token-keys.ts';
import { customer, insight, resourcePool } from '../../db/schema.ts';
import { createKey } from '../../db/settings/first-key.ts';
import type { FinishOperationItem, ReportProgressItem, StartOperationItem } from '../../messages/resource-pool.ts';
import { type TestApp, testApp } from './test-app.ts';
import { type TestDatabase, testDatabase } from './test-database.ts';

/** The endpoints that a pool worker calls. */
export type ServiceOperation = 'startOperation' | 'reportProgress' | 'finishOperation' | 'reportWorker';

/** One request of a pool worker. */
export interface ServiceRequest {
  readonly operation: ServiceOperation;
  readonly items: readonly (StartOperationItem | ReportProgressItem | FinishOperationItem)[];
}

/** What an answer is to be instead of the right one. */
export interface Fault {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The request is carried out, only its answer is lost. */
  readonly afterwards?: boolean;
}

/** A row of operation_progress, as far as tests look. */
export interface RecordedOperation {
  readonly state: string;
  readonly message: string;
  readonly launch: number;
  /** Executions that count against its attempts. */
  readonly attempts: number;
  readonly result: string | null;
  readonly events: readonly { code?: string; message: string }[];
  readonly worker: string | null;
  readonly place: string | null;
  readonly category: string | null;
  readonly code: string | null;
  readonly blocked: string | null;
  /** It waits to be launched again. */
  readonly waits: boolean;
}

/** A row of operation_attempt, as far as tests look. */
export interface RecordedLaunch {
  readonly launch: number;
  readonly ending: string | null;
  readonly category: string | null;
  readonly code: string | null;
  readonly decision: string | null;
  readonly launcher: string | null;
  readonly place: string | null;
  readonly output: string | null;
}

/** A server on a free port, with one ResourcePool and a key for it. */
export class ResourcePoolService implements AsyncDisposable {
  readonly apiKey: string;
  readonly resourcePoolId: string = 'pool';
  readonly requests: ServiceRequest[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #fault: (request: ServiceRequest) => Fault | undefined = () => undefined;
  readonly #database: TestDatabase;
  readonly #api: TestApp;
  #batches = 0;

  private constructor(database: TestDatabase, apiKey: string) {
    this.#database = database;
    this.apiKey = apiKey;
    this.#api = testApp(database);
  }

  static async open(): Promise<ResourcePoolService> {
    const database = await testDatabase();
    const { key } = await createKey(database, 'test', { accounts: [], superUser: false, scopes: ['pool:pool'] });
    const service = new ResourcePoolService(database, key);
    const base = { cid: 'test', customerId: 'customer' };
    await database.insert(resourcePool).values({ ...base, id: service.resourcePoolId });
    await database
      .insert(customer)
      .values({ ...base, id: 'customer', title: 'Customer', resourcePoolId: service.resourcePoolId });
    await database.insert(insight).values({
      ...base,
      id: 'insight',
      title: 'Insight',
      resourcePoolId: service.resourcePoolId,
      isGlobal: true,
      mappers: { always: ['true'] },
      queueSize: 1_000,
    });
    await new Promise<void>((resolve) => service.#server.listen(0, '127.0.0.1', resolve));
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  /** From now on answers are faults wherever `fault` gives one. */
  fail(fault: (request: ServiceRequest) => Fault | undefined): void {
    this.#fault = fault;
  }

  heal(): void {
    this.#fault = () => undefined;
  }

  sent(operation: ServiceOperation): readonly ServiceRequest[] {
    return this.requests.filter((request) => request.operation === operation);
  }

  /** For programs on the same database, and for looks into it. */
  get database(): TestDatabase {
    return this.#database;
  }

  /** Submits and admits an Agenda; its Operations may be started from now on. */
  async admit(operations: readonly Operation[]): Promise<string> {
    const answer = await this.submit(operations);
    const { admitted } = await admitBatch(this.#database, {
      insightId: answer.insightId,
      batchId: `batch-${++this.#batches}`,
    });
    if (admitted !== 1) throw new Error('not admitted');
    return answer.agendaId;
  }

  /** Submits an Agenda, for a control worker to admit. */
  async submit(operations: readonly Operation[]): Promise<{ readonly agendaId: string; readonly insightId: string }> {
    const answer = await submitAgenda(this.#database, {
      agenda: { customerId: 'customer', operations },
      dependencies: operations.map(() => []),
      actor: 'test',
      cid: 'cid-of-test',
    });
    if (answer.kind !== 'created') throw new Error(`not created: ${JSON.stringify(answer)}`);
    return answer;
  }

  async cancel(agendaId: string): Promise<void> {
    await cancelAgenda(this.#database, { agendaId, actor: 'test', cid: 'test' });
  }

  /** Its Agenda is over, whatever the Operations do. */
  async end(agendaId: string): Promise<void> {
    await this.#database.$client`delete from running_agenda where agenda_id = ${agendaId}`;
  }

  /** Lines of the api's log. */
  get lines(): readonly Record<string, unknown>[] {
    return this.#api.lines;
  }

  /** Resolves once the api signs with the new key. */
  async rotateLaunchTokenKeys(): Promise<void> {
    const { made } = await rotateLaunchTokenKeys(this.#database);
    // It reads the keys again when it meets one that it does not know.
    const authorization = `Bearer popl_${made}_A_${'0'.repeat(64)}`;
    await this.#api.anonymous('POST', '/resourcepool/service/reportProgress', undefined, { authorization });
  }

  /** As if its Operations had been launched at this place. */
  async recordPlace(agendaId: string, place: string): Promise<void> {
    await this.#database.$client`update operation_progress set place = ${place} where agenda_id = ${agendaId}`;
  }

  async recorded(agendaId: string, operation: string): Promise<RecordedOperation> {
    const [row] = await this.#database.$client<RecordedOperation[]>`
      select processing_state as state, processing_state_message as message, launch,
        attempt_count as attempts, result_payload as result,
        coalesce(diagnostic_events, '[]'::json) as events, worker, failure_category as category, failure_code as code,
        blocked_reason as blocked, again_time is not null as waits, place
      from operation_progress where agenda_id = ${agendaId} and operation = ${operation}`;
    if (row === undefined) throw new Error(`no Operation ${operation}`);
    return row;
  }

  /** The launches of an Agenda's Operations, with what is kept of their output. */
  async launches(agendaId: string): Promise<readonly RecordedLaunch[]> {
    return this.#database.$client<RecordedLaunch[]>`
      select t.launch, t.ending, t.category, t.code, t.decision, t.launcher, t.place, l.output
      from operation_attempt t left join operation_log l using (agenda_id, index, attempt, launch)
      where t.agenda_id = ${agendaId} order by t.index, t.launch`;
  }

  /** What waits to be launched again may be launched now. */
  async endWaits(agendaId: string): Promise<void> {
    await this.#database.$client`
      update operation_progress set again_time = clock_timestamp()
      where agenda_id = ${agendaId} and again_time is not null`;
  }

  /** When there was a sign of life of a running Agenda, as text. */
  async lastSeen(agendaId: string): Promise<string | undefined> {
    const [row] = await this.#database.$client<{ seen: string }[]>`
      select seen_time::text as seen from running_agenda where agenda_id = ${agendaId}`;
    return row?.seen;
  }

  /** Texts of logs kept of an Agenda's Operations. */
  async logs(agendaId: string): Promise<string[]> {
    const rows = await this.#database.$client<
      { output: string }[]
    >`select output from operation_log where agenda_id = ${agendaId}`;
    return rows.map(({ output }) => output);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const path = request.url ?? '';
    const headers = passedOn(request);
    if (request.method === 'GET') {
      const answer = await this.#api.app.request(path, { headers });
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
      return;
    }
    const asked: ServiceRequest = {
      operation: path.split('/').at(-1) as ServiceOperation,
      items: (JSON.parse(body) as Partial<ServiceRequest>).items ?? [],
    };
    this.requests.push(asked);
    const fault = this.#fault(asked);
    if (fault === undefined || fault.afterwards) {
      const answer = await this.#api.app.request(path, { method: 'POST', headers, body });
      const text = await answer.text();
      if (fault === undefined) {
        response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(text);
        return;
      }
    }
    response
      .writeHead(fault.status, { 'content-type': 'application/problem+json', ...fault.headers })
      .end(fault.body ?? JSON.stringify({ detail: 'made to fail', code: 'fault' }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#database[Symbol.asyncDispose]();
  }
}

/** What the app looks at. */
function passedOn({ headers }: IncomingMessage): Record<string, string> {
  const names = ['authorization', 'content-type', 'pop-pool', 'pop-installation'];
  return Object.fromEntries(
    names.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}

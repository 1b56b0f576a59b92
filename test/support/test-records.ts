/** Records for tests, inserted directly: a pool, an Insight, waiting and running Agendas. */
import type { Json, JsonObject, OperationTimeout } from '../../agenda/types.ts';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { claimAttempt } from '../../db/agenda/claim-attempt.ts';
import type { Database } from '../../db/connect.ts';
import { firstEvents } from '../../db/event/write-events.ts';
import { tellWorker } from '../../db/pool/tell-worker.ts';
import {
  agenda,
  agendaProgress,
  customer,
  insight,
  insightWake,
  operation,
  operationProgress,
  readyAgenda,
  resourcePool,
  settlement,
} from '../../db/schema.ts';

let count = 0;
/** An id that no other record of this process has. */
export const freshId = (what: string): string => `${what}-${process.pid}-${++count}`;

/** Adds a ResourcePool and the Customer `customer`; returns the pool's id. */
export async function addPool(
  database: Database,
  { id = freshId('pool'), slots }: { id?: string; slots?: number } = {},
): Promise<string> {
  await database
    .insert(resourcePool)
    .values({ id, cid: 'test', customerId: 'owner', capacity: slots === undefined ? null : { slots } });
  await database
    .insert(customer)
    .values({ id: 'customer', cid: 'test', customerId: 'owner', title: 'A customer', resourcePoolId: id })
    .onConflictDoNothing();
  return id;
}

/** As a pool worker that serves these types, which need nothing, tells of itself. */
export const tellTypes = (database: Database, resourcePoolId: string, ...types: string[]): Promise<void> =>
  tellWorker(database, resourcePoolId, {
    ...{ worker: `worker of ${types.join()}`, version: '0', slots: 4, startedTime: 1, registryDigest: types.join() },
    types: Object.fromEntries(types.map((type) => [type, {}])),
  });

/** Ids of an Insight that was added. */
export interface TestInsight {
  readonly insightId: string;
  readonly resourcePoolId: string;
}

/** An Insight with its wake flag, in a pool of its own unless one is given. */
export async function addInsight(
  database: Database,
  settings: {
    readonly resourcePoolId?: string;
    readonly slots?: number;
    readonly queueSize?: number;
    readonly maximumRunning?: number;
    readonly schedulingAlgorithm?: string;
  } = {},
): Promise<TestInsight> {
  const { slots, ...others } = settings;
  const resourcePoolId = settings.resourcePoolId ?? (await addPool(database, slots === undefined ? {} : { slots }));
  const insightId = freshId('insight');
  await database
    .insert(insight)
    .values({ id: insightId, cid: 'test', customerId: 'owner', title: insightId, ...others, resourcePoolId });
  await database.insert(insightWake).values({ insightId });
  return { insightId, resourcePoolId };
}

/** An Operation that is added with its Agenda. */
export interface TestOperation {
  readonly name: string;
  readonly type?: string;
  readonly payload?: Json;
  readonly dependencies?: readonly number[];
  readonly weight?: number;
  readonly timeout?: OperationTimeout;
  readonly params?: JsonObject;
}

/** Ids of an Agenda that was added. */
export interface TestAgenda extends TestInsight {
  readonly agendaId: string;
  readonly attempt: number;
}

/** A waiting Agenda. */
export async function addAgenda(
  database: Database,
  { insightId, resourcePoolId }: TestInsight,
  settings: {
    readonly operations?: readonly TestOperation[];
    readonly customerId?: string;
    readonly readyTime?: Date;
    readonly attempt?: number;
    readonly need?: string;
    readonly priority?: number;
    readonly agendaType?: string;
    readonly expectedSeconds?: number;
  } = {},
): Promise<TestAgenda> {
  const { operations = [{ name: 'only' }], customerId = 'customer', readyTime, attempt = 1, ...given } = settings;
  const agendaId = freshId('agenda');
  const progressId = `${agendaId}-progress`;
  const base = { cid: 'test-cid', customerId };
  await database.insert(agenda).values({ ...base, id: agendaId, progressId, insightId, resourcePoolId, attempt });
  await database.$client.begin((sql) =>
    firstEvents(sql, sql`(select ${agendaId} as agenda_id, ${attempt}::int as attempt)`),
  );
  await database.insert(operation).values(
    operations.map(
      ({ name, type = 'sample', payload, dependencies = [], weight = 1, timeout = null, params = null }, index) => ({
        ...{ agendaId, index, name, type, weight, timeout, params },
        dependencies: [...dependencies],
        payload: payload === undefined ? null : JSON.stringify(payload),
      }),
    ),
  );
  await database.insert(agendaProgress).values({ ...base, id: progressId, agendaId });
  await database.insert(operationProgress).values(
    operations.map(({ name }, index) => ({
      ...base,
      ...{ agendaId, index, id: `${progressId}-${name}`, agendaProgressId: progressId, operation: name },
    })),
  );
  await database.insert(readyAgenda).values({
    agendaId,
    insightId,
    resourcePoolId,
    customerId,
    attempt,
    ...given,
    ...(readyTime === undefined ? {} : { readyTime, movedTime: readyTime }),
  });
  await database.insert(settlement).values({
    insightId,
    customerId,
    kind: 'ready',
    promoted: 0,
    need: given.need ?? '1,0,0,0',
    priority: given.priority ?? 0,
  });
  return { agendaId, attempt, insightId, resourcePoolId };
}

/** An Agenda admitted and claimed by the run `run`, in an Insight of its own unless one is given. */
export async function addRunningAgenda(
  database: Database,
  {
    insight: given,
    runId = 'run',
    ...settings
  }: Parameters<typeof addAgenda>[2] & { insight?: TestInsight; runId?: string } = {},
): Promise<TestAgenda> {
  const added = await addAgenda(database, given ?? (await addInsight(database)), settings);
  const { admitted } = await admitBatch(database, { insightId: added.insightId, batchId: freshId('batch') });
  if (admitted !== 1) throw new Error(`expected to admit the one new Agenda, admitted ${admitted}`);
  await claimAttempt(database, { ...added, runId });
  return added;
}

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readInstallation } from '../db/installation.ts';
import { insightWake } from '../db/schema.ts';
import { readMarker, takeNames } from '../temporal/installation-marker.ts';
import { type Host, testHost } from '../test/support/pool-worker.ts';
import { type Program, startProgram } from '../test/support/program.ts';
import { ResourcePoolService } from '../test/support/resource-pool-service.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import { namesOf } from '../workflows/names.ts';

const patience = { timeout: 60_000, interval: 50 };
/** Of one resident Operation and one that a pool worker runs. */
const operations = [
  { name: 'said', type: 'logMessages', payload: { logMessages: ['hello'] } },
  { name: 'done', type: 'noOp', dependsOn: ['said'] },
] as const;

let environment: WorkflowEnvironment;
let host: Host;
/** Two installations with pools, Insights and customers of the same ids. */
let production: ResourcePoolService;
let staging: ResourcePoolService;
let productionControl: Program;

beforeAll(async () => {
  [environment, host, production, staging] = await Promise.all([
    realWorkflowEnvironment(),
    testHost(),
    ResourcePoolService.open(),
    ResourcePoolService.open(),
  ]);
  for (const { database } of [production, staging]) {
    await database.insert(insightWake).values({ insightId: 'insight' });
    // Databases of tests are copies of one.
    await database.$client`update installation set id = gen_random_uuid()::text`;
  }
  productionControl = control(production);
  await productionControl.says('control worker ready');
}, 120_000);
afterAll(async () => {
  await productionControl[Symbol.asyncDispose]();
  await Promise.all(
    [environment, host, production, staging].map((resource: AsyncDisposable) => resource[Symbol.asyncDispose]()),
  );
});

const named = (name: string) => (name === '' ? {} : { POP_INSTALLATION: name });
const ofDatabase = ({ database }: ResourcePoolService, name: string) => ({
  ...{ DATABASE_URL: database.url, TEMPORAL_ADDRESS: environment.address, POP_SWEEP_SECONDS: '0.2', ...named(name) },
});
function control(service: ResourcePoolService, name = ''): Program {
  return startProgram('workers/control.ts', ofDatabase(service, name));
}
function pool(service: ResourcePoolService, name = '', more: Readonly<Record<string, string>> = {}): Program {
  return startProgram('workers/pool.ts', {
    ...{ TEMPORAL_ADDRESS: environment.address, POP_URL: service.url, POP_API_KEY: service.apiKey },
    ...{ POP_POOL_ID: 'pool', POP_REGISTRY: host.registry, POP_RUN_DIRECTORY: host.runs, ...named(name), ...more },
  });
}
const idOf = async ({ database }: ResourcePoolService) => (await readInstallation(database)).id;

async function stateOf({ database }: ResourcePoolService, agendaId: string): Promise<string> {
  const [row] = await database.$client<{ state: string }[]>`
    select concat_ws(' ', processing_state, processing_state_message) as state
    from agenda_progress where agenda_id = ${agendaId}`;
  return row?.state ?? 'none';
}
const succeeds = (service: ResourcePoolService, agendaId: string) =>
  vi.waitFor(async () => expect(await stateOf(service, agendaId)).toBe('COMPLETE succeeded'), patience);

test('a second installation in a namespace is refused, its control worker and its api', {
  timeout: 120_000,
}, async () => {
  const ids = [await idOf(production), await idOf(staging)];
  await using second = control(staging);
  await using api = startProgram('workers/api.ts', { ...ofDatabase(staging, ''), PORT: '0' });
  for (const program of [second, api]) {
    const message = await program.says('are of the installation');
    for (const id of ids) expect(message).toContain(id);
    expect(message).toContain('POP_INSTALLATION');
    expect(await program.exited).toBe(1);
  }
  expect(await readMarker(environment.client)).toBe(ids[0]);
});

test('with a name of its own the second installation runs its Agendas beside the first to the end', {
  timeout: 180_000,
}, async () => {
  await using second = control(staging, 'north');
  await using productionPool = pool(production);
  await using stagingPool = pool(staging, 'north');
  await Promise.all([
    second.says('control worker ready'),
    productionPool.says('pool worker ready'),
    stagingPool.says('pool worker ready'),
  ]);
  const submitted = await Promise.all(
    [production, staging, production, staging].map(async (service) => ({
      service,
      agendaId: (await service.submit(operations)).agendaId,
    })),
  );
  await Promise.all(submitted.map(({ service, agendaId }) => succeeds(service, agendaId)));
  for (const { service, agendaId } of submitted) {
    const names = namesOf(service === staging ? 'north' : '');
    const workflow = environment.client.workflow.getHandle(names.agendaWorkflow(agendaId));
    // The record is first: the workflow ends a moment later.
    await workflow.result();
    const { status, taskQueue } = await workflow.describe();
    expect([status.name, taskQueue]).toEqual(['COMPLETED', names.controlQueue]);
  }
  // A name may change while nothing runs only.
  const held = (await staging.submit([{ name: 'held', type: 'gated' }])).agendaId;
  await vi.waitFor(async () => expect(await stateOf(staging, held)).toContain('EXECUTING'), patience);
  await using renamed = control(staging, 'south');
  await renamed.says('POP_INSTALLATION is "south" here, and "north" for the');
  expect(await renamed.exited).toBe(1);
  await host.openGate();
  await succeeds(staging, held);
});

test('a pool worker with the Temporal of one installation and the api of another is refused, and no Agenda fails', {
  timeout: 120_000,
}, async () => {
  const { agendaId } = await production.submit([{ name: 'done', type: 'noOp' }]);
  const workflow = environment.client.workflow.getHandle(namesOf().agendaWorkflow(agendaId));
  await vi.waitFor(
    async () => expect((await workflow.describe()).raw.pendingActivities).toMatchObject([{ activityId: 'run:done' }]),
    patience,
  );
  await using astray = pool(staging);
  const message = await astray.says('are of the installation');
  expect(message).toContain(await idOf(production));
  expect(message).toContain(await idOf(staging));
  expect(await astray.exited).toBe(1);
  expect(await stateOf(production, agendaId)).not.toContain('COMPLETE');
  expect((await production.recorded(agendaId, 'done')).state).toBe('WAITING');

  await using right = pool(production);
  await right.says('pool worker ready');
  await succeeds(production, agendaId);
});

test("a pool worker whose key is another pool's is refused, naming both", async () => {
  await using wrong = pool(production, '', { POP_POOL_ID: 'other' });
  const message = await wrong.says('wrongPool');
  expect(message).toContain('"other"');
  expect(message).toContain('"pool"');
  expect(await wrong.exited).toBe(1);
});

test('a copy of a database gets an id of its own, and leaves the names of the original alone', {
  timeout: 120_000,
}, async () => {
  const original = await idOf(production);
  await staging.database.$client`update installation set id = ${original}, name = ''`;
  const renew = (name: string, ...args: string[]) =>
    startProgram('cli/pop.ts', ofDatabase(staging, name), ['installation', 'renew', ...args]);

  await using refused = renew('', '--take-over');
  await refused.says('Nothing was changed');
  expect(await refused.exited).toBe(3);
  expect(await idOf(staging)).toBe(original);

  await using renewed = renew('');
  await renewed.says(`are of the installation ${original}, and were left to it.`);
  await renewed.says('Set another POP_INSTALLATION');
  expect(await renewed.exited).toBe(0);
  expect(await idOf(staging)).not.toBe(original);
  expect(await readMarker(environment.client)).toBe(original);
  expect((await production.database.$client`select from installation where id = ${original}`).length).toBe(1);

  // Names of an installation that is gone.
  const abandoned = Object.assign(Object.create(environment.client), {
    names: namesOf('gone'),
  }) as typeof environment.client;
  await takeNames(abandoned, 'an installation of before');
  await using taken = renew('gone', '--take-over');
  expect(await taken.exited).toBe(0);
  expect(await readMarker(abandoned)).toBe(await idOf(staging));
  await using begun = control(staging, 'gone');
  await begun.says('control worker ready');
});

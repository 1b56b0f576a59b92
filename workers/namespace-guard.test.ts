import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { OtherNameError, readInstallation } from '../db/installation.ts';
import type { TemporalClient } from '../temporal/connect.ts';
import { OtherInstallationError, readMarker, takeNames } from '../temporal/installation-marker.ts';
import { type TestDatabase, testDatabase } from '../test/support/test-database.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import { namesOf } from '../workflows/names.ts';
import { enterNamespace, keepNamespace, NamespaceGate } from './namespace-guard.ts';

let environment: WorkflowEnvironment;
let database: TestDatabase;
beforeAll(async () => {
  [environment, database] = await Promise.all([realWorkflowEnvironment(), testDatabase()]);
});
beforeEach(() => database.$client`update installation set name = null`);
afterAll(async () => {
  await environment[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const often = 20;
function partsOf(name: string) {
  const said: string[] = [];
  const log = pino({}, { write: (line: string) => void said.push((JSON.parse(line) as { msg: string }).msg) });
  const client = Object.assign(Object.create(environment.client) as TemporalClient, { names: namesOf(name) });
  return { database, client, log, said };
}
const ownId = async () => (await readInstallation(database)).id;

test('a marker that is lost while a control worker runs is made anew', async () => {
  const parts = partsOf('lost');
  await enterNamespace(parts);
  const stop = new AbortController();
  const keeping = keepNamespace(parts, stop.signal, often);
  await parts.client.workflow.getHandle(parts.client.names.markerWorkflow).terminate();
  await expect.poll(() => readMarker(parts.client), { timeout: 20_000 }).toBe(await ownId());
  stop.abort();
  await keeping;
});

test("a control worker ends when the names become another's, or its database goes by another name", async () => {
  const parts = partsOf('taken');
  await enterNamespace(parts);
  const keeping = keepNamespace(parts, new AbortController().signal, often);
  await Promise.all([expect(keeping).rejects.toThrow(OtherInstallationError), takeNames(parts.client, 'another')]);
  const renamed = partsOf('renamed');
  await enterNamespace(renamed);
  const again = keepNamespace(renamed, new AbortController().signal, often);
  await Promise.all([
    expect(again).rejects.toThrow(OtherNameError),
    database.$client`update installation set name = 'elsewhere'`,
  ]);
});

test("an api stays away from workflows while the names are another's, and says so; nobody's are open", async () => {
  const parts = partsOf('gate');
  expect(await new NamespaceGate(parts).isOpen()).toBe(true);
  await takeNames(parts.client, 'another');
  const gate = new NamespaceGate(parts);
  await expect(gate.refuseOthers()).rejects.toThrow(OtherInstallationError);
  expect(await gate.isOpen()).toBe(false);
  expect(await gate.isOpen()).toBe(false);
  expect(parts.said).toEqual([expect.stringContaining('are of the installation another')]);
});

test("while Temporal is away that is asked and told once for many requests, another's names at once", async () => {
  const parts = partsOf('away');
  let asked = 0;
  let isAway = true;
  const client = Object.assign(Object.create(parts.client) as TemporalClient, {
    workflow: {
      getHandle: () => ({
        describe: async () => {
          asked += 1;
          if (isAway) throw new Error('no connection');
          return { status: { name: 'RUNNING' }, memo: { installationId: 'another' } };
        },
      }),
    },
  });
  const gate = new NamespaceGate({ ...parts, client });
  const answers = await Promise.all(Array.from({ length: 20 }, () => gate.isOpen()));
  expect(answers).toEqual(Array.from({ length: 20 }, () => false));
  expect(asked).toBe(1);
  const away = expect.stringContaining('does not answer');
  expect(parts.said).toEqual([away]);
  isAway = false;
  const look = async () => {
    await gate.isOpen();
    return parts.said;
  };
  const others = expect.stringContaining('are of the installation another');
  await expect.poll(look, { timeout: 20_000 }).toEqual([away, others]);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import { namesOf } from '../workflows/names.ts';
import type { TemporalClient } from './connect.ts';
import { claimNames, OtherInstallationError, readMarker, takeNames, watchMarker } from './installation-marker.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await realWorkflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

const named = (name: string): TemporalClient =>
  Object.assign(Object.create(environment.client) as TemporalClient, { names: namesOf(name) });

test('of several installations that begin at once one gets the names, and the others are refused', async () => {
  const client = named('race');
  expect(await readMarker(client)).toBeUndefined();
  const claims = await Promise.allSettled(['a', 'b', 'c', 'a', 'b', 'c'].map((id) => claimNames(client, id)));
  const owner = await readMarker(client);
  expect(['a', 'b', 'c']).toContain(owner);
  expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  for (const claim of claims)
    if (claim.status === 'rejected') expect(claim.reason).toBeInstanceOf(OtherInstallationError);
  await claimNames(client, String(owner));
});

test('names of other installations in the same namespace are not touched', async () => {
  await claimNames(named('one'), 'first');
  await claimNames(named('two'), 'second');
  expect(await readMarker(named('one'))).toBe('first');
  await expect(claimNames(named('one'), 'second')).rejects.toThrow(
    'POP_INSTALLATION=one in Temporal\'s namespace "default" are of the installation first, not of second',
  );
});

test("a marker that was terminated is nobody's and made anew; a cancel does not end one", async () => {
  const client = named('lost');
  await claimNames(client, 'own');
  await environment.run({ [client.names.controlQueue]: {} }, async () => {
    const handle = client.workflow.getHandle(client.names.markerWorkflow);
    await handle.cancel();
    await expect
      .poll(
        async () =>
          (await handle.fetchHistory()).events?.filter((event) => event.workflowTaskCompletedEventAttributes).length,
        { timeout: 20_000 },
      )
      .toBeGreaterThanOrEqual(1);
    expect(await readMarker(client)).toBe('own');
    await handle.terminate();
  });
  expect(await readMarker(client)).toBeUndefined();
  await claimNames(client, 'own');
  expect(await readMarker(client)).toBe('own');
});

test('names can be taken over', async () => {
  const client = named('taken');
  await claimNames(client, 'before');
  await takeNames(client, 'after');
  await claimNames(client, 'after');
  await expect(claimNames(client, 'before')).rejects.toThrow(OtherInstallationError);
});

test('a pool worker that watches the marker ends when another installation takes the names', async () => {
  const client = named('watched');
  const watching = watchMarker(client, 'own', new AbortController().signal, { debug: () => undefined }, 10);
  await Promise.all([
    expect(watching).rejects.toThrow(OtherInstallationError),
    takeNames(client, 'own').then(() => takeNames(client, 'another')),
  ]);
});

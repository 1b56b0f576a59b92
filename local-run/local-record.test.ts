import { expect, test } from 'vitest';
import { failureOf } from '../agenda/failure.ts';
import type { FinishOperationItem, StartVerdict } from '../messages/resource-pool.ts';
import { LocalRecord } from './local-record.ts';

const record = () =>
  new LocalRecord({
    customerId: 'demo',
    operations: [
      { name: 'a', type: 't', weight: 3 },
      { name: 'b', type: 't' },
    ],
  });

const keyOf = ({ agendaId }: LocalRecord, operation = 'a') => ({ agendaId, attempt: 1, operation });
const start = (at: LocalRecord, operation = 'a') =>
  at.startOperation({ ...keyOf(at, operation), place: 'here', worker: 'me', understands: ['later'] });

async function begun(at: LocalRecord): Promise<Extract<StartVerdict, { verdict: 'run' }>> {
  const verdict = await start(at);
  if (verdict.verdict !== 'run') throw new Error(verdict.verdict);
  return verdict;
}

const lost = (at: LocalRecord, launch: number): FinishOperationItem => ({
  ...{ ...keyOf(at), operationAttempt: 1, launch, outcome: 'failed', ending: 'lost', ...failureOf('lost') },
  params: { at: launch },
});

test('a launch that was lost is followed by another one, not before its time, with what it left', async () => {
  const at = record();
  const first = await begun(at);
  const verdict = await at.finishOperation(lost(at, first.launch));
  expect(verdict).toMatchObject({ verdict: 'again' });
  expect(await start(at)).toMatchObject({ verdict: 'later' });
  const row = at.operations[0];
  expect(row).toMatchObject({ processingState: 'EXECUTING', failureCode: 'lost', outcome: null });
  if (row !== undefined) row.againTime = new Date(0);
  const second = await begun(at);
  expect(second).toMatchObject({ launch: 2, operationAttempt: 1 });
  expect(JSON.parse(second.lastProgress ?? '')).toMatchObject({ params: { at: 1 }, attemptCount: 1 });
  expect(row).toMatchObject({ failureCode: null, againTime: null, launch: 2 });
});

test('a fan-in of 200 results of 8 KiB makes one payload, as with a server', async () => {
  const parts = Array.from({ length: 200 }, (_, n) => `p${n}`);
  const at = new LocalRecord({
    customerId: 'demo',
    operations: [
      ...parts.map((name) => ({ name, type: 't' })),
      { name: 'all', type: 't', payload: parts.map((name) => `@<${name}.out>`) },
    ],
  });
  const result = 'p'.repeat(8 * 1024 - 2);
  for (const name of parts) {
    await start(at, name);
    const end = { ...keyOf(at, name), operationAttempt: 1, launch: 1, outcome: 'succeeded' } as const;
    await at.finishOperation({ ...end, result: JSON.stringify(result) });
  }
  const verdict = await start(at, 'all');
  expect(verdict.verdict === 'run' && verdict.payload === JSON.stringify(parts.map(() => result))).toBe(true);
});

test('after five launches in a row were lost the Operation ends, and says so', async () => {
  const at = record();
  const verdicts: string[] = [];
  for (let launch = 1; launch <= 5; launch++) {
    const row = at.operations[0];
    if (row?.againTime) row.againTime = new Date(0);
    await begun(at);
    verdicts.push((await at.finishOperation(lost(at, launch))).verdict);
  }
  expect(verdicts).toEqual(['again', 'again', 'again', 'again', 'stored']);
  expect(at.operations[0]).toMatchObject({ outcome: 'failed', diagnosticEvents: [{ code: 'launchesSpent' }] });
});

test('what cannot be started now says why, keeps its launch, and waits longer each time', async () => {
  const at = record();
  const { launch } = await begun(at);
  const blocked = { ...keyOf(at), operationAttempt: 1, launch, blocked: { reason: 'no memory' } };
  const [first] = await at.reportProgress([blocked]);
  expect(first?.verdict).toMatchObject({ verdict: 'ok', inMilliseconds: expect.any(Number) });
  expect(at.operations[0]).toMatchObject({ blockedReason: 'no memory' });
  expect(await begun(at)).toMatchObject({ launch, adopt: true });
  await at.reportProgress([{ ...keyOf(at), operationAttempt: 1, launch, startedTime: Date.now() }]);
  expect(at.operations[0]).toMatchObject({ blockedReason: null, blockedSince: null });
});

test('percent of an Agenda follows the weights, and never falls', async () => {
  const at = record();
  const { launch } = await begun(at);
  const report = (percentComplete: number) =>
    at.reportProgress([{ ...keyOf(at), operationAttempt: 1, launch, percentComplete }]);
  await report(40);
  expect(at.agenda.percentComplete).toBe(30);
  await report(10);
  expect(at.agenda.percentComplete).toBe(30);
  expect(at.operations[0]?.percentComplete).toBe(40);
});

test('a report of an older launch changes nothing, and an end is recorded once', async () => {
  const at = record();
  const { launch } = await begun(at);
  const end = { ...keyOf(at), operationAttempt: 1, launch, outcome: 'succeeded', ending: 'succeeded' } as const;
  expect(await at.finishOperation({ ...end, launch: 7 })).toEqual({ verdict: 'over' });
  expect(await at.finishOperation({ ...end, result: '{' })).toMatchObject({
    verdict: 'refused',
    code: 'resultNotJson',
  });
  expect(await at.finishOperation({ ...end, result: '1' })).toEqual({ verdict: 'stored', outcome: 'failed' });
  expect(at.operations[0]).toMatchObject({ outcome: 'failed', resultPayload: null, failureCode: 'resultNotJson' });
});

test('a cancel hands nothing out; what waits is skipped then, what nobody reported is abandoned', async () => {
  const at = record();
  await begun(at);
  at.cancel();
  expect(await start(at, 'b')).toEqual({ verdict: 'cancelled' });
  at.finish({ outcome: 'cancelled' });
  expect(at.operations.map(({ outcome }) => outcome)).toEqual(['abandoned', 'skipped']);
  expect(at.agenda).toMatchObject({ outcome: 'cancelled', failing: true, attemptsCompleted: 1 });
});

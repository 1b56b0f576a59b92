import { expect, test } from 'vitest';
import { newTenant, operationOf, progressOf, run, sample, sleeping, submit, until } from './running-system.ts';

test('row 86: states, messages, percent and times agree at the end', async () => {
  const tenant = await newTenant();
  const begun = Date.now();
  const agenda = await submit(tenant, {
    operations: [sample('a', sleeping(300)), sample('b', {}, { dependsOn: ['a'], weight: 3 }), sample('c')],
  });
  const running = await until('it runs', async () => {
    const progress = await progressOf(tenant, agenda);
    return progress.processingState === 'EXECUTING' ? progress : undefined;
  });
  expect(running.processingStateMessage).toBe('Running Operations');
  expect(running.completedTime).toBeUndefined();
  const progress = await until('it has ended', async () => {
    const now = await progressOf(tenant, agenda);
    return now.processingState === 'COMPLETE' ? now : undefined;
  });
  const parts = progress.operationProgress;
  for (const each of [progress, ...parts]) {
    expect(each).toMatchObject({
      processingState: 'COMPLETE',
      processingStateMessage: 'succeeded',
      percentComplete: 100,
    });
    expect(each.startedTime).toBeGreaterThanOrEqual(begun - 1000);
    expect(each.completedTime).toBeGreaterThanOrEqual(each.startedTime);
    expect(each.diagnosticEvents ?? []).toEqual([]);
  }
  expect(progress.attemptsCompleted).toBe(1);
  for (const part of parts) {
    expect(part.startedTime).toBeGreaterThanOrEqual(progress.startedTime);
    expect(part.completedTime).toBeLessThanOrEqual(progress.completedTime);
  }

  const failed = await run(tenant, {
    operations: [
      sample('a'),
      sample('b', { actions: [{ action: 'exception', paramsMap: {} }] }, { dependsOn: ['a'] }),
      sample('c', {}, { dependsOn: ['b'] }),
    ],
  });
  expect(failed).toMatchObject({ processingState: 'COMPLETE', processingStateMessage: 'failed', attemptsCompleted: 1 });
  expect(failed.percentComplete).toBeLessThan(100);
  expect(operationOf(failed, 'c')).toMatchObject({
    processingState: 'COMPLETE',
    outcome: 'skipped',
    percentComplete: 0,
  });
  expect(operationOf(failed, 'c').startedTime).toBeUndefined();
});

test('row 87: updatedTime of a long Operation that says nothing moves at least every ten seconds', async () => {
  const tenant = await newTenant();
  const agenda = await submit(tenant, { operations: [{ name: 'a', type: 'still' }] });
  const seen: number[] = [];
  const progress = await until('it has ended', async () => {
    const now = await progressOf(tenant, agenda);
    if (now.startedTime !== undefined && seen.at(-1) !== now.updatedTime) seen.push(now.updatedTime);
    return now.processingState === 'COMPLETE' ? now : undefined;
  });
  expect(progress.processingStateMessage).toBe('succeeded');
  expect(progress.completedTime - progress.startedTime).toBeGreaterThan(20_000);
  // The first is the start, the last the end; between them nobody reported anything.
  expect(seen.length).toBeGreaterThanOrEqual(4);
  for (const [index, time] of seen.entries())
    if (index > 0) expect(time - (seen[index - 1] ?? 0)).toBeLessThanOrEqual(10_000);
});

/** What an engine says of an end that not every engine can be brought to say. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runOf } from '../../test/support/scratch.ts';
import { ProgressFile } from '../run-directory/progress-file.ts';
import { endingOf, isOfNoEnd, type Remains } from './container-ending.ts';
import { dockerRunOf } from './docker-run.ts';
import type { ContainerFacts } from './engine.ts';
import { Outages } from './outages.ts';

const ended: ContainerFacts = {
  ...{ id: 'c', labels: {}, state: 'ended', createdTime: 1, startedTime: 2, endedTime: 3 },
  ...{ exitCode: 0, isOutOfMemory: false },
};

function remains(container: Partial<ContainerFacts>, output = '', more: Partial<Remains> = {}): Remains {
  const podConfig = { launch: 'docker', imageName: 'tools:1', memoryRequestCount: '64Mi', contract: 'pop2' };
  return {
    run: dockerRunOf(runOf(podConfig)),
    container: { ...ended, ...container },
    log: { output, totalBytes: output.length, standardOutput: output },
    progress: new ProgressFile(join(import.meta.dirname, 'no-such-file')),
    box: join(import.meta.dirname, 'no-such-box'),
    stop: undefined,
    isTaken: false,
    ...more,
  };
}

test('memory: the limit is told; a handler that went on and succeeded without its child did succeed', () => {
  expect(endingOf(remains({ exitCode: 137, isOutOfMemory: true }))).toMatchObject({
    kind: 'failed',
    code: 'outOfMemory',
    diagnosticEvents: [
      { code: 'outOfMemory', message: 'The handler was killed because it used more than its memory limit of 64Mi.' },
      { code: 'signal' },
    ],
  });
  expect(endingOf(remains({ exitCode: 0, isOutOfMemory: true }))).toMatchObject({ kind: 'succeeded' });
});

test('a program that the init process could not start is a fault of the configuration', () => {
  const words = '[FATAL tini (7)] exec no-such-program failed: No such file or directory\n';
  expect(endingOf(remains({ exitCode: 127 }, words))).toMatchObject({ kind: 'failed', code: 'containerNotStarted' });
  expect(endingOf(remains({ exitCode: 127 }, 'sh: no-such: not found\n'))).toMatchObject({ code: 'exitCode' });
});

test('an exit code of a signal names it, whoever sent it', () => {
  expect(endingOf(remains({ exitCode: 143 }))).toMatchObject({
    kind: 'failed',
    code: 'signal',
    diagnosticEvents: [{ message: 'The handler was killed by SIGTERM.' }],
  });
});

test('a stop decides before the exit does, and an end with its engine is none of its own', () => {
  const stop = { reason: 'cancelled', stoppedTime: 2, graceSeconds: 1 } as const;
  expect(endingOf(remains({}, '', { stop }))).toMatchObject({ kind: 'cancelled', startedTime: 2, endedTime: 3 });
  expect(endingOf(remains({ exitCode: 143 }, '', { isTaken: true }))).toMatchObject({ kind: 'lost', code: 'lost' });
});

test('ends that nobody may have seen are those by a signal, without a time, and Docker’s 255', () => {
  expect([0, 1, 125, 200].map((exitCode) => isOfNoEnd({ ...ended, exitCode }))).toEqual([false, false, false, false]);
  expect([-1, 137, 143, 255].map((exitCode) => isOfNoEnd({ ...ended, exitCode }))).toEqual([true, true, true, true]);
  const { endedTime: _, ...unseen } = ended;
  expect(isOfNoEnd(unseen)).toBe(true);
  expect(isOfNoEnd({ ...ended, exitCode: 137, isOutOfMemory: true })).toBe(false);
});

test('an outage covers what happened shortly before it and until the engine answered', () => {
  const outages = new Outages();
  expect(outages.covers(Date.now())).toBe(false);
  outages.away();
  outages.answered();
  const now = Date.now();
  expect([now - 60_000, now - 10_000, now + 60_000].map((time) => outages.covers(time))).toEqual([false, true, false]);
  expect(outages.covers(undefined)).toBe(true);
});

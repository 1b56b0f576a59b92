import { describe, expect, test } from 'vitest';
import { parseReport, type Report } from '../launchers/progress-report.ts';
import { runOf } from '../test/support/scratch.ts';
import { endingOf, type Remains } from './ending.ts';
import { annotations } from './names.ts';
import type { Pod, PodStatus } from './pod.ts';
import { kubernetesRunOf } from './pod-spec.ts';
import type { StopOrder } from './stop-order.ts';

const [startedAt, finishedAt] = ['2026-01-01T00:00:02Z', '2026-01-01T00:00:10Z'];
const times = { startedTime: Date.parse(startedAt), endedTime: Date.parse(finishedAt) };
const log = { output: 'one\ntwo\n', totalBytes: 8 };

/** What is left of a launch: how its container ended, and what else is known. */
interface Left {
  readonly terminated?: object;
  readonly status?: PodStatus;
  readonly metadata?: Partial<Pod['metadata']>;
  readonly settings?: object;
  readonly report?: object;
  readonly order?: StopOrder;
  readonly log?: Remains['log'];
}

function remains({ terminated, status, metadata, settings, report, order, ...rest }: Left): Remains {
  const stop = order === undefined ? {} : { annotations: { [annotations.stop]: JSON.stringify(order) } };
  const state = terminated === undefined ? {} : { terminated: { exitCode: 0, startedAt, finishedAt, ...terminated } };
  return {
    pod: {
      metadata: {
        ...{ name: 'op-1', namespace: 'media', uid: 'u', resourceVersion: '1', creationTimestamp: startedAt },
        ...stop,
        ...metadata,
      },
      status: { containerStatuses: [{ name: 'handler', state }], ...status },
    },
    settings: kubernetesRunOf(runOf({ launch: 'kubernetes', imageName: 'x', ...settings })).settings,
    reported: report === undefined ? {} : { report: parseReport(JSON.stringify(report)) as Report },
    log: 'log' in rest ? rest.log : log,
  } as Remains;
}

const end = (left: Left) => endingOf(remains(left));
const message = (left: Left): string | undefined => {
  const ending = end(left);
  return 'diagnosticEvents' in ending ? ending.diagnosticEvents.at(-1)?.message : undefined;
};
const drained: Left['status'] = {
  conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI', message: 'evicting' }],
};
const going = { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 };

describe('a container that came to an end of its own', () => {
  test('with 0 has succeeded: result, times and log are told', () => {
    expect(end({ terminated: { message: '{"a":1}' } })).toEqual({ kind: 'succeeded', result: { a: 1 }, ...times, log });
    expect(end({ terminated: {} })).toEqual({ kind: 'succeeded', ...times, log });
    expect(end({ terminated: { message: ' \n' } })).toEqual({ kind: 'succeeded', ...times, log });
  });

  test.each([
    [{ exitCode: 3 }, 'exitCode', 'The handler ended with exit code 3.'],
    [{ exitCode: 137, reason: 'Error' }, 'signal', 'The handler was killed by SIGKILL.'],
    [{ exitCode: 143 }, 'signal', 'The handler was killed by SIGTERM.'],
    [{ exitCode: 139 }, 'signal', 'The handler was killed by SIGSEGV.'],
    [{ exitCode: 134 }, 'signal', 'The handler was killed by SIGABRT.'],
    [{ exitCode: 128, reason: 'StartError', message: 'no such file' }, 'containerNotStarted', 'no such file'],
    [{ exitCode: 127, reason: 'ContainerCannotRun' }, 'containerNotStarted', 'ContainerCannotRun'],
    [{ message: 'not JSON' }, 'resultNotJson', 'The result is not JSON'],
  ])('%o has failed with %s', (terminated, code, words) => {
    expect(end({ terminated })).toMatchObject({ kind: 'failed', code, ...times, log });
    expect(message({ terminated })).toContain(words);
  });

  test('a result that fills the termination message was cut, and is too large', () => {
    const terminated = { message: `"${'x'.repeat(4_095)}` };
    expect(end({ terminated })).toMatchObject({ kind: 'failed', code: 'resultTooLarge' });
    expect(message({ terminated })).toContain('POP_TOKEN_FILE');
  });

  test('the last lines of its log go with a failure', () => {
    expect(end({ terminated: { exitCode: 1 } })).toMatchObject({
      diagnosticEvents: [{ code: 'exitCode', time: times.endedTime, payload: ['one', 'two'] }],
    });
  });

  test('for its memory says its limit', () => {
    const terminated = { exitCode: 137, reason: 'OOMKilled' };
    expect(end({ terminated, settings: { memoryRequestCount: '64Mi' } })).toMatchObject({
      kind: 'failed',
      code: 'outOfMemory',
      diagnosticEvents: [{ code: 'outOfMemory', payload: ['one', 'two'] }],
    });
    expect(message({ terminated, settings: { memoryRequestCount: '64Mi' } })).toContain('memoryRequestCount) is 64Mi');
    expect(message({ terminated })).toContain('its node had no more');
  });

  test('with code 0 has succeeded, though a child of it was killed for its memory', () => {
    expect(end({ terminated: { exitCode: 0, reason: 'OOMKilled' } })).toMatchObject({ kind: 'succeeded' });
  });

  test('as quiet, after a child of it was killed for its memory, says so', () => {
    const order = { reason: 'timedOut', limit: 'quiet', seconds: 5, graceSeconds: 1 } as const;
    const metadata = { annotations: { [annotations.stop]: JSON.stringify(order) } };
    const told = { terminated: { exitCode: 143, reason: 'OOMKilled' }, settings: { memoryRequestCount: '64Mi' } };
    expect(message({ ...told, metadata })).toMatch(/quietSeconds = 5.*took more memory than it may.*64Mi/);
    expect(message({ terminated: { exitCode: 143 }, metadata })).not.toContain('memory');
  });

  test('a result by annotation comes before the termination message', () => {
    const metadata = { annotations: { [annotations.payload]: '{"by":"annotation"}' } };
    expect(end({ terminated: { message: '"other"' }, metadata })).toMatchObject({ result: { by: 'annotation' } });
    expect(end({ terminated: {}, metadata: { annotations: { [annotations.payload]: 'x' } } })).toMatchObject({
      code: 'resultNotJson',
    });
  });

  test('a result may be the last line of its log', () => {
    const settings = { resultFrom: 'lastLogLine', mixedStreams: true };
    const output = 'begun\n{"a":1}\nsaid aside\n';
    expect(end({ terminated: {}, settings, log: { output, totalBytes: output.length } })).toMatchObject({
      kind: 'succeeded',
      result: { a: 1 },
    });
  });

  test('what it reported goes with it', () => {
    const report = { percentComplete: 40, params: { page: 4 } };
    expect(end({ terminated: { exitCode: 1 }, report })).toMatchObject({ kind: 'failed', progress: report });
  });

  test('of an image that was built for POP, the report decides and not the exit code', () => {
    const settings = { contract: 'pop1', endOfLogIdentifier: 'two' };
    const report = { processingState: 'COMPLETE', processingStateMessage: 'succeeded' };
    expect(end({ terminated: { exitCode: 7 }, settings, report })).toMatchObject({ kind: 'succeeded' });
    expect(end({ terminated: {}, settings })).toMatchObject({ kind: 'failed', code: 'noProgress' });
  });

  test('for its deadline has broken the limit that we could not keep', () => {
    const status = { phase: 'Failed', reason: 'DeadlineExceeded' } as const;
    const terminated = { exitCode: 137, reason: 'Error' };
    expect(end({ terminated, status, settings: { runSeconds: 60 } })).toMatchObject({
      kind: 'timedOut',
      limit: 'run',
      diagnosticEvents: [{ code: 'runLimit', message: expect.stringContaining('runSeconds = 60') }],
    });
  });

  test('and never began within its deadline was not started in time', () => {
    const status = { phase: 'Failed', reason: 'DeadlineExceeded' } as const;
    expect(end({ status, settings: { runSeconds: 60 }, log: undefined })).toMatchObject({
      kind: 'timedOut',
      limit: 'scheduled',
      diagnosticEvents: [{ code: 'scheduledLimit' }],
    });
  });
});

describe('what the infrastructure took away', () => {
  test.each([
    ['exit code 0', { exitCode: 0 }],
    ['exit code 143', { exitCode: 143 }],
    ['exit code 0 and no JSON', { exitCode: 0, message: 'bye' }],
    ['another exit code and a result', { exitCode: 1, message: '"partly"' }],
  ])('is lost, though its container ended with %s', (_, terminated) => {
    expect(end({ terminated, status: drained, metadata: going })).toEqual({
      kind: 'lost',
      code: 'drained',
      message: 'evicting',
      ...times,
      log,
    });
  });

  test('has its end when the handler said so itself', () => {
    expect(end({ terminated: { message: '{"done":true}' }, status: drained, metadata: going })).toMatchObject({
      kind: 'succeeded',
      result: { done: true },
    });
    const report = { processingState: 'COMPLETE', processingStateMessage: 'failed', diagnosticEvents: [] };
    expect(end({ terminated: { exitCode: 1 }, status: drained, metadata: going, report })).toMatchObject({
      kind: 'failed',
      code: 'reportedFailure',
    });
  });

  test('before its container ended is lost, with what it had reported', () => {
    const report = { percentComplete: 40 };
    expect(end({ status: drained, metadata: going, report, log: undefined })).toEqual({
      kind: 'lost',
      code: 'drained',
      message: 'evicting',
      progress: report,
    });
    expect(end({ log: undefined })).toMatchObject({ kind: 'lost', code: 'lost' });
  });
});

describe('what we stopped ends as we wanted it', () => {
  const stops: readonly [StopOrder, object][] = [
    [{ reason: 'cancelled', graceSeconds: 1 }, { kind: 'cancelled' }],
    [
      { reason: 'timedOut', limit: 'run', seconds: 5, graceSeconds: 1 },
      { kind: 'timedOut', limit: 'run', diagnosticEvents: [{ code: 'runLimit' }] },
    ],
    [
      { reason: 'timedOut', limit: 'scheduled', seconds: 5, words: 'No node has room.', graceSeconds: 1 },
      {
        kind: 'timedOut',
        diagnosticEvents: [{ message: expect.stringMatching(/scheduledSeconds = 5\. No node has/) }],
      },
    ],
    [
      { reason: 'failed', code: 'imageUnavailable', words: 'not found', graceSeconds: 0 },
      { kind: 'failed', code: 'imageUnavailable', diagnosticEvents: [{ message: 'not found' }] },
    ],
  ];
  test.each(stops)('%j', (order, ending) => {
    // Whatever its container made of it.
    for (const terminated of [undefined, {}, { exitCode: 143 }, { exitCode: 137, reason: 'OOMKilled' }])
      expect(
        end({ order, metadata: { ...going, annotations: stopAnnotation(order) }, ...(terminated && { terminated }) }),
      ).toMatchObject(ending);
  });

  const stopAnnotation = (order: StopOrder) => ({ [annotations.stop]: JSON.stringify(order) });

  test('one that had reported its end and did not exit has that end', () => {
    const order = { reason: 'complete', graceSeconds: 1 } as const;
    const settings = { contract: 'pop1', endOfLogIdentifier: 'two' };
    const report = { processingState: 'COMPLETE', processingStateMessage: 'succeeded' };
    expect(end({ order, settings, report, terminated: { exitCode: 143 } })).toMatchObject({ kind: 'succeeded' });
  });

  test('an order that cannot be read is an order all the same', () => {
    const metadata = { ...going, annotations: { [annotations.stop]: 'now!' } };
    expect(end({ terminated: { exitCode: 143 }, metadata })).toMatchObject({ kind: 'cancelled' });
  });
});

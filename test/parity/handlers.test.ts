import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  done,
  ended,
  type Fields,
  newId,
  newTenant,
  operationOf,
  progressOf,
  resultOf,
  run,
  sample,
  sleeping,
  submit,
  system,
  until,
  whenOperation,
} from './running-system.ts';

/** The processes of an Agenda's running handler: who watches over it, and itself, the head of its process group. */
async function processesOf(agendaId: string): Promise<{ shim: number; handler: number }> {
  return until('the handler runs', async () => {
    for (const name of await readdir(system.runDirectory)) {
      const record = await readJson(join(system.runDirectory, name, 'run.json'));
      const started = await readJson(join(system.runDirectory, name, 'started.json'));
      if (record?.agendaId === agendaId && started !== undefined)
        return { shim: started.shim.pid, handler: started.pid };
    }
    return undefined;
  });
}

async function readJson(path: string) {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    // Not there, or not any more.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

test('row 77: a handler finds the variables of the contract, on a repeated launch also its last report', async () => {
  const tenant = await newTenant();
  const agenda = await submit(tenant, {
    operations: [
      {
        ...sample('tell', {
          actions: [
            // The first launch waits here for its end.
            {
              action: 'externalExecute',
              paramsMap: { externalArgs: ['sh', '-c', 'test -n "$LAST_PROGRESS" || sleep 100'] },
            },
            { action: 'environment' },
          ],
        }),
        id: 'given-id',
      },
    ],
  });
  await whenOperation(tenant, agenda, 'tell', 'EXECUTING');
  const jobId = await until('the first launch has reported its job', async () => {
    const [progress] = (await progressOf(tenant, agenda)).operationProgress;
    return progress.params?.jobInfo?.jobId as string | undefined;
  });
  const { shim, handler } = await processesOf(agenda.id);
  process.kill(shim, 'SIGKILL');
  process.kill(-handler, 'SIGKILL');

  const progress = await ended(tenant, agenda);
  expect(progress.processingStateMessage).toBe('succeeded');
  const { environment } = resultOf(progress, 'tell');
  expect(environment).toMatchObject({
    CID: agenda.cid,
    AGENDA_ID: agenda.id,
    CUSTOMER_ID: tenant.customerId,
    OPERATION_ID: 'given-id',
    OPERATION_NAME: 'tell',
    PROGRESS_ID: `${agenda.progressId}-tell`,
    MY_POD_NAME: expect.stringMatching(/\S/),
    LOG_LEVEL: expect.stringMatching(/\S/),
    POP_PAYLOAD_TYPE: 'envVar',
  });
  expect(JSON.parse(environment.PAYLOAD)).toMatchObject({
    actions: [{ action: 'externalExecute' }, { action: 'environment' }],
  });
  expect(JSON.parse(environment.LAST_PROGRESS)).toMatchObject({ operation: 'tell', params: { jobInfo: { jobId } } });
  const { all } = await done(tenant.send, 'GET', `/agenda/${agenda.id}/logs`);
  const output = all.map((log: { output: string }) => log.output).join('\n');
  for (const name of Object.keys(environment)) expect(output).toContain(`${name}=`);
});

test('row 78: a compressed payload of 300 kB arrives intact', async () => {
  // Random, so that it stays large when compressed: several segments.
  const blob = randomBytes(225_000).toString('base64');
  expect(blob.length).toBe(300_000);
  const progress = await run(await newTenant(), {
    operations: [
      {
        ...sample('big', { actions: [{ action: 'environment' }], resultPayload: { blob, text: 'ü"\\ 😀' } }),
        type: 'sampleCompressed',
      },
    ],
  });
  expect(progress.processingStateMessage).toBe('succeeded');
  const { environment, ...result } = resultOf(progress, 'big');
  expect(result.text).toBe('ü"\\ 😀');
  expect(result.blob === blob).toBe(true);
  expect(environment.POP_PAYLOAD_TYPE).toBe('compressedEnvVar');
  expect(environment).not.toHaveProperty('PAYLOAD');
});

test('row 79: the progress of a running handler is seen rising', async () => {
  const tenant = await newTenant();
  const agenda = await submit(tenant, {
    operations: [sample('a', sleeping(5000)), sample('b', {}, { dependsOn: ['a'] })],
  });
  const ofOperation: number[] = [];
  const ofAgenda: number[] = [];
  await until('a has ended', async () => {
    const progress = await progressOf(tenant, agenda);
    const { percentComplete, processingState } = operationOf(progress, 'a');
    if (processingState === 'EXECUTING') {
      if (ofOperation.at(-1) !== percentComplete) ofOperation.push(percentComplete);
      if (ofAgenda.at(-1) !== progress.percentComplete) ofAgenda.push(progress.percentComplete);
    }
    return processingState === 'COMPLETE' ? true : undefined;
  });
  for (const seen of [ofOperation, ofAgenda]) {
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    // The value at the start, and two rises or more.
    expect(seen.length).toBeGreaterThanOrEqual(3);
  }
  // The handler says 100 itself a moment before it ends; the Agenda has another Operation.
  expect(ofAgenda.at(-1)).toBeLessThan(100);
});

test('row 80: the result is the one the handler returned', async () => {
  const results = [{ text: 'ü"\\\n😀', list: [1, 2.5, null, true, { deep: {} }] }, [], 'text', 0, false];
  const operations = results.map((resultPayload, index) => sample(`o${index}`, { resultPayload }));
  const progress = await run(await newTenant(), { operations });
  for (const [index, result] of results.entries()) expect(resultOf(progress, `o${index}`)).toEqual(result);
  const whole = await run(await newTenant(), { operations: [sample('none', { actions: [] })] });
  expect(whole.processingStateMessage).toBe('succeeded');
  expect(operationOf(whole, 'none').resultPayload).toBeUndefined();
});

test('row 81: message, code and stack of a failing handler are in the progress', async () => {
  const paramsMap = {
    exceptionMessage: 'no such source',
    code: 'sourceMissing',
    statusCode: 404,
    payload: { source: newId('source') },
  };
  const progress = await run(await newTenant(), {
    operations: [sample('a', { actions: [{ action: 'exception', paramsMap }] })],
  });
  expect(progress.processingStateMessage).toBe('failed');
  expect(operationOf(progress, 'a').diagnosticEvents?.[0]).toMatchObject({
    message: 'no such source',
    code: 'sourceMissing',
    statusCode: 404,
    payload: paramsMap.payload,
    stackTrace: expect.stringMatching(/no such source[\s\S]*sample\.ts/),
    time: expect.any(Number),
  });
});

test('row 85: an Agenda of three Operations completes on one machine without a cluster', async () => {
  const tenant = await newTenant();
  const agenda = await submit(tenant, {
    operations: [
      sample('probe', { ...sleeping(300), resultPayload: { width: 720 } }),
      sample('encode', {
        actions: [{ action: 'externalExecute', paramsMap: { externalArgs: ['uname', '-n'] } }],
        resultPayload: '@<probe.out::/width>',
      }),
      sample('package', { resultPayload: { width: '@<encode.out>' } }),
    ],
  });
  // The handler is a process of this machine.
  const { handler } = await processesOf(agenda.id);
  expect(handler).toBeGreaterThan(1);
  const progress = await ended(tenant, agenda);
  expect(progress).toMatchObject({ processingStateMessage: 'succeeded', percentComplete: 100 });
  expect(resultOf(progress, 'package')).toEqual({ width: 720 });
});

test('row 84: the sample handler logs, fails, runs a program and sleeps', async () => {
  const tenant = await newTenant();
  const one = async (action: string, paramsMap: Fields) => {
    const progress = await run(tenant, {
      operations: [sample('a', { actions: [{ action, paramsMap }], resultPayload: { of: action } })],
    });
    const { all } = await done(tenant.send, 'GET', `/agenda/${progress.agendaId}/logs`);
    return { progress, output: all[0].output as string, part: operationOf(progress, 'a') };
  };
  const log = await one('log', { logMessage: 'said by log' });
  expect(log.output).toContain('said by log');
  expect(resultOf(log.progress, 'a')).toEqual({ of: 'log' });
  const exception = await one('exception', { exceptionMessage: 'thrown by exception' });
  expect(exception.progress.processingStateMessage).toBe('failed');
  expect(exception.part.diagnosticEvents?.[0]?.message).toBe('thrown by exception');
  const program = await one('externalExecute', { externalArgs: ['sh', '-c', 'echo said by "$0"', 'a program'] });
  expect(program.output).toContain('said by a program');
  expect(resultOf(program.progress, 'a')).toEqual({ of: 'externalExecute' });
  const failing = await one('externalExecute', { externalArgs: ['sh', '-c', 'exit 7'] });
  expect(failing.part.diagnosticEvents?.[0]?.message).toContain('exit code 7');
  const sleep = await one('log', { sleepMilliseconds: 1200 });
  expect(sleep.part.completedTime - sleep.part.startedTime).toBeGreaterThanOrEqual(1200);
  const unknown = await one('dance', {});
  expect(unknown.part.diagnosticEvents?.[0]?.message).toContain('dance');
});

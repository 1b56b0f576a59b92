/** The sample handler under the Local launcher, as a pool runs it. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Ending } from '../launchers/launcher.ts';
import { runOf, scratch, startToEnd } from '../test/support/scratch.ts';
import type { Json } from './types.ts';

const command = { command: ['node', fileURLToPath(new URL('./sample.ts', import.meta.url))] };

async function sample(
  payload: Json,
  more: { lastProgress?: string; podConfig?: Record<string, unknown> } = {},
): Promise<Ending> {
  await using at = scratch();
  const { podConfig, ...run } = more;
  return await startToEnd(
    at.launcher,
    runOf({ ...command, ...podConfig }, { payload: JSON.stringify(payload), ...run }),
  );
}

/** An externalExecute of this command line, under a registry entry with these commands. */
async function external(externalArgs: Json, commands?: readonly object[]): Promise<Ending> {
  const podConfig = commands === undefined ? {} : { commands };
  return await sample(
    { actions: [{ action: 'externalExecute', paramsMap: { externalArgs } }], resultPayload: {} },
    { podConfig },
  );
}

test('actions run in order and the result is resultPayload', async () => {
  const podConfig = { commands: [{ program: 'echo', args: ['second'] }] };
  const payload = {
    actions: [
      { action: 'log', paramsMap: { logMessage: 'first', sleepMilliseconds: 20 } },
      { action: 'externalExecute', paramsMap: { externalArgs: ['echo', 'second'] } },
      { action: 'log', paramsMap: { logMessage: 'third' } },
    ],
    resultPayload: { actionData: 'x' },
  };
  const ending = await sample(payload, { podConfig });
  expect(ending).toMatchObject({ kind: 'succeeded', result: { actionData: 'x' }, progress: { percentComplete: 100 } });
  expect(ending.log?.output).toMatch(/Began job [0-9a-f-]{36}\nfirst\nsecond\nthird\n/);
});

test('an exception fails with its message and diagnostics', async () => {
  const ending = await sample({
    actions: [
      {
        action: 'exception',
        paramsMap: { exceptionMessage: 'on purpose', code: 'mine', statusCode: 418, payload: { a: 1 } },
      },
    ],
  });
  expect(ending).toMatchObject({
    kind: 'failed',
    diagnosticEvents: [
      { message: 'on purpose', code: 'mine', statusCode: 418, payload: { a: 1 } },
      { code: 'exitCode', message: 'The handler ended with exit code 1.' },
    ],
  });
});

test('a failing tool fails the Operation', async () => {
  const commands = [{ program: 'sh', args: ['-c', 'echo tool says; exit 3'] }, { program: 'no-such-tool' }];
  expect(await external(['sh', '-c', 'echo tool says; exit 3'], commands)).toMatchObject({
    kind: 'failed',
    diagnosticEvents: [{ message: 'sh ended with exit code 3.', code: 'externalFailed' }, {}],
  });
  expect(await external(['no-such-tool'], commands)).toMatchObject({
    kind: 'failed',
    diagnosticEvents: [{ code: 'externalFailed' }, {}],
  });
});

test('an entry without commands runs none, before anything is done, and says how an operator allows one', async () => {
  const actions = [{ action: 'log', paramsMap: { logMessage: 'first' } }];
  const ending = await sample({
    actions: [...actions, { action: 'externalExecute', paramsMap: { externalArgs: ['echo', 'ran'] } }],
  });
  expect(ending).toMatchObject({
    kind: 'failed',
    diagnosticEvents: [
      {
        code: 'commandNotAllowed',
        message: expect.stringMatching(
          /^externalExecute is refused: \["echo","ran"\]\. .*lists no "commands".* "commands": \[/,
        ),
      },
      {},
    ],
  });
  expect(ending.log?.output).not.toMatch(/^(ran|first)$/m);
});

test('a command line that the registry does not list is not run', async () => {
  const commands = [{ program: 'echo', args: ['{word}'], placeholders: { word: '[a-z]+' } }];
  expect(await external(['echo', 'fine'], commands)).toMatchObject({ kind: 'succeeded' });
  const refused = await external(['touch', 'fine'], commands);
  expect(refused).toMatchObject({ kind: 'failed', diagnosticEvents: [{ code: 'commandNotAllowed' }, {}] });
  const long = await external(['echo', 'A'.repeat(1_000)], commands);
  expect(long.kind === 'failed' && long.diagnosticEvents[0]?.message.length).toBeLessThan(400);
  for (const args of [[], 'echo fine', ['echo', ['fine']], ['echo', 1]]) {
    expect(await external(args, commands)).toMatchObject({ diagnosticEvents: [{ code: 'invalidPayload' }, {}] });
  }
});

test('a value of a placeholder is one argument and never read by a shell', async () => {
  const ending = await external(
    ['printf', '<%s>', 'a b; echo $HOME'],
    [{ program: 'printf', args: ['<%s>', '{text}'], placeholders: { text: '.*' } }],
  );
  expect(ending).toMatchObject({ kind: 'succeeded' });
  expect(ending.log?.output).toContain('<a b; echo $HOME>');
});

test('an unknown action fails before anything is done', async () => {
  const ending = await sample({
    actions: [{ action: 'log', paramsMap: { logMessage: 'first' } }, { action: 'dance' }],
  });
  expect(ending).toMatchObject({
    kind: 'failed',
    diagnosticEvents: [{ message: 'Unknown action: dance', code: 'unknownAction' }, {}],
  });
  expect(ending.log?.output).not.toContain('first\n');
});

test('the environment action returns the contract’s variables', async () => {
  const ending = await sample({ actions: [{ action: 'environment' }], resultPayload: { a: 1 } });
  expect(ending).toMatchObject({
    kind: 'succeeded',
    result: {
      a: 1,
      environment: {
        AGENDA_ID: 'agenda-1',
        CID: 'cid-1',
        CUSTOMER_ID: 'customer-1',
        LOG_LEVEL: 'info',
        MY_POD_NAME: 'run-1',
        OPERATION_ID: 'operation-id-1',
        OPERATION_NAME: 'op.1',
        PROGRESS_ID: 'progress-1',
        POP_ATTEMPT: '1',
      },
    },
  });
});

test('the environment action keeps to itself what the operator allows', async () => {
  const podConfig = { commands: [{ program: 'echo' }], readRoots: ['/srv/in'], writeRoots: ['/srv/out'] };
  const ending = await sample({ actions: [{ action: 'environment' }] }, { podConfig });
  expect(ending).toMatchObject({ kind: 'succeeded', result: { environment: { CID: 'cid-1' } } });
  expect(JSON.stringify(ending)).not.toMatch(/POP_COMMANDS|_ROOTS|srv/);
});

test('the next attempt goes on with the job of the one before', async () => {
  const first = await sample({ actions: [{ action: 'exception' }] });
  const jobInfo = first.progress?.params?.jobInfo;
  expect(jobInfo).toMatchObject({ jobId: expect.any(String) });
  const second = await sample({ actions: [] }, { lastProgress: JSON.stringify({ params: { jobInfo } }) });
  expect(second).toMatchObject({ kind: 'succeeded', progress: { params: { jobInfo } } });
  expect(second.log?.output).toContain('Going on with job');
});

test('is a handler of POP, too: payload by argument, end by progress and end of log', async () => {
  const ending = await sample({ actions: [], resultPayload: [1] }, { podConfig: { contract: 'pop1' } });
  expect(ending).toMatchObject({ kind: 'succeeded', result: [1] });
});

/**
 * What handlers may leave in their run directory, by mistake or on purpose: a pool worker serves many, and none may
 * hold it up.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { recorded, runOf, scratch, shell, startToEnd } from '../../test/support/scratch.ts';

const here = 'D=$(dirname "$POP_RESULT_FILE"); ';
const faultOf = (ending: object): unknown =>
  'diagnosticEvents' in ending ? (ending.diagnosticEvents as { code: string }[]).map((event) => event.code) : undefined;

test.each([
  ['a pipe', 'mkfifo "$POP_RESULT_FILE"'],
  ['a directory', 'mkdir "$POP_RESULT_FILE"'],
  ['a link to a file of the host', 'ln -s /etc/passwd "$POP_RESULT_FILE"'],
  ['a link to an endless device', 'ln -s /dev/zero "$POP_RESULT_FILE"'],
  ['a link to itself', 'ln -s "$POP_RESULT_FILE" "$POP_RESULT_FILE"'],
])('%s as result fails the Operation and is not read', async (_, script) => {
  await using local = scratch();
  const ending = await startToEnd(local.launcher, runOf(shell(script)));
  expect(ending).toMatchObject({ kind: 'failed' });
  expect(faultOf(ending)).toEqual(['resultNotReadable']);
  await local.launcher.forget('run-1');
});

test.each([
  ['a pipe', 'mkfifo "$POP_PROGRESS_FILE"'],
  ['a directory', 'mkdir "$POP_PROGRESS_FILE"'],
  ['a link', 'ln -s /etc/passwd "$POP_PROGRESS_FILE"'],
])('%s as progress file is told of and holds nobody up', async (_, script) => {
  await using local = scratch();
  const events = recorded();
  const ending = await startToEnd(local.launcher, runOf(shell(`${script}; exit 1`)), events);
  expect(faultOf(ending)).toEqual(['progressNotReadable', 'exitCode']);
});

test.each([
  ['a pipe', 'mkfifo "$D/log/output.log"'],
  ['a directory', 'mkdir "$D/log/output.log"'],
])('%s in the place of the log is an empty log', async (_, script) => {
  await using local = scratch();
  const ending = await startToEnd(local.launcher, runOf(shell(`${here}rm "$D/log/output.log"; ${script}`)));
  expect(ending).toMatchObject({ kind: 'succeeded', log: { output: '' } });
});

test('a link in the place of the log is not followed when the log is cut', async () => {
  await using local = scratch();
  const victim = join(dirname(local.root), 'victim');
  const content = 'x'.repeat(300_000);
  writeFileSync(victim, content);
  await startToEnd(
    local.launcher,
    runOf(shell(`${here}rm "$D/log/output.log"; ln -s '${victim}' "$D/log/output.log"`, { logBytes: 65_536 })),
  );
  expect(readFileSync(victim, 'utf8')).toBe(content);
});

test.each([
  ['half a record', 'echo "{" >"$D/exit.json"'],
  ['null', 'echo null >"$D/exit.json"'],
  ['a pipe', 'mkfifo "$D/exit.json"'],
])('%s in the place of the ending is replaced by the true one', async (_, script) => {
  await using local = scratch();
  const ending = await startToEnd(local.launcher, runOf(shell(`${here}${script}; sleep 0.3; exit 7`)));
  expect(ending).toMatchObject({
    kind: 'failed',
    diagnosticEvents: [{ message: 'The handler ended with exit code 7.' }],
  });
  await local.launcher.forget('run-1');
});

test('an ending that a handler writes itself ends nothing while it runs', async () => {
  await using local = scratch();
  const begun = Date.now();
  await startToEnd(local.launcher, runOf(shell(`${here}echo '{"exitCode":0,"endedTime":1}' >"$D/exit.json"; sleep 1`)));
  expect(Date.now() - begun).toBeGreaterThanOrEqual(1_000);
  await local.launcher.forget('run-1');
});

test('a handler that wrote its own ending is stopped all the same', async () => {
  await using local = scratch();
  const run = runOf(shell(`${here}echo '{"exitCode":0}' >"$D/exit.json"; exec sleep 60`));
  await local.launcher.start(run);
  await local.launcher.stop('run-1', 0);
  expect((await local.launcher.list()).map(({ key, alive }) => ({ key, alive }))).toEqual([
    { key: 'run-1', alive: false },
  ]);
});

test('a run directory full of what is not ours is listed as nothing', async () => {
  await using local = scratch();
  mkdirSync(join(local.root, 'foreign', 'run.json'), { recursive: true });
  mkdirSync(join(local.root, 'empty'));
  writeFileSync(join(local.root, 'empty', 'run.json'), 'null');
  expect(await local.launcher.list()).toEqual([]);
});

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PopFolder } from '../../test/support/pop-process.ts';

const shell = (script: string, more: object = {}) => ({ podConfig: { command: ['sh', '-c', script], ...more } });

/** A folder with a registry and an Agenda of these Operations. */
function folderWith(operations: unknown, more: object = {}): PopFolder {
  const folder = new PopFolder();
  folder.write('registry.json', {
    basePodConfig: { graceSeconds: 1 },
    echo: shell('echo "$PAYLOAD"', { resultFrom: 'lastLogLine' }),
    fail: shell('echo too bad; exit 3'),
    sleep: shell('touch "$TMPDIR/../$OPERATION_NAME"; exec sleep 100'),
    // Waits until as many were begun as its payload says; then tells how many go on at most, rather too few.
    crowd: shell(
      `cd "$TMPDIR"; mkdir -p begun ended; touch "begun/$OPERATION_NAME"
      until [ "$(ls begun | wc -l)" -ge "$PAYLOAD" ]; do sleep 0.05; done
      begun=$(ls begun | wc -l); echo $((begun - $(ls ended | wc -l))); touch "ended/$OPERATION_NAME"`,
      { resultFrom: 'lastLogLine', runSeconds: 20 },
    ),
  });
  folder.write('agenda.json', { customerId: 'demo', operations, ...more });
  return folder;
}

const local = ['run', '--local', 'agenda.json'];
const jsonOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout);
const resultsOf = (record: { operationProgress: { operation: string; resultPayload?: string }[] }) =>
  Object.fromEntries(record.operationProgress.map(({ operation, resultPayload }) => [operation, resultPayload]));

test('a success is 0, with the record on stdout and what happened on stderr', async () => {
  using folder = folderWith([
    { name: 'a', type: 'echo', payload: { n: [1, 2] } },
    { name: 'b', type: 'echo', payload: { last: '@<a.out::/n/1>' } },
  ]);
  const end = await folder.pop([...local, '-o', 'json', '--out', 'kept.json']);
  expect(end.code).toBe(0);
  expect(resultsOf(jsonOf(end))).toEqual({ a: '{"n":[1,2]}', b: '{"last":2}' });
  expect(end.stderr).toMatch(/a: succeeded after .* s\n/);
  expect(JSON.parse(readFileSync(join(folder.path, 'kept.json'), 'utf8'))).toEqual(jsonOf(end));
  expect(readdirSync(folder.runs)).toEqual([]);
});

test('a failure is 1, and is told in a line', async () => {
  using folder = folderWith([
    { name: 'a', type: 'fail' },
    { name: 'b', type: 'echo', dependsOn: ['a'] },
  ]);
  const { code, stdout, stderr } = await folder.pop(local);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^failed after .* s: Failed to complete operation: a: The handler ended with exit code 3\.\n$/,
  );
  expect(stderr).toContain('b: skipped: Not started: Operation a failed');
});

test('mocks are not launched: they give a file, or fail; resident types may be mocked, too', async () => {
  const operations = [
    { name: 'a', type: 'unheardOf', payload: 1 },
    { name: 'b', type: 'logMessages', payload: { logMessages: [] }, dependsOn: ['a'] },
    { name: 'c', type: 'fail', payload: '@<a.out::/r>', dependsOn: ['b'] },
  ];
  using folder = folderWith(operations);
  folder.write('result.json', { r: [true] });
  const good = await folder.pop([
    ...[...local, '-o', 'json'],
    ...['--mock', 'unheardOf=result.json', '--mock', 'logMessages=result.json', '--mock', 'fail=result.json'],
  ]);
  expect(good.code).toBe(0);
  expect(resultsOf(jsonOf(good))).toEqual({ a: '{"r":[true]}', b: '{"r":[true]}', c: '{"r":[true]}' });
  const bad = await folder.pop([...local, '-o', 'json', '--mock', 'unheardOf=!No such luck.', '--mock', 'unhard=!x']);
  expect(bad.stderr.match(/^No Operation is of the type .*$/gm)).toEqual([
    'No Operation is of the type unhard, which --mock names.',
  ]);
  expect(bad.code).toBe(1);
  expect(jsonOf(bad).operationProgress[0]).toMatchObject({
    ...{ outcome: 'failed', failureCategory: 'handler', failureCode: 'exception' },
    diagnosticEvents: [{ code: 'exception', message: 'No such luck.' }],
  });
  expect(jsonOf(bad).operationProgress[0].diagnosticEvents[0]).not.toHaveProperty('stackTrace');
});

test.each([
  [['--max-parallel', '2'], {}, 2],
  [['--max-parallel', '3'], { parallelism: 1 }, 1],
] as const)('with %j and %j there are %i Operations in flight', async (args, more, most) => {
  const operations = Array.from({ length: 4 }, (_, index) => ({ name: `op${index}`, type: 'crowd', payload: most }));
  using folder = folderWith(operations, more);
  const end = await folder.pop([...local, '-o', 'json', ...args]);
  // With fewer at once each would wait for the next until its limit.
  expect(end.code).toBe(0);
  expect(Math.max(...Object.values(resultsOf(jsonOf(end))).map(Number))).toBeLessThanOrEqual(most);
});

test('what is no JSON is 2, with line and column', async () => {
  using folder = new PopFolder();
  const { code, stdout, stderr } = await folder.pop(['run', '--local', '-'], { input: '{\n  "customerId": x\n}' });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe('pop run: stdin:2:17: not JSON: a value is expected, not "x"\n');
});

test('an Agenda with faults is 2, and all are told, also beyond the ten of an answer of the api', async () => {
  const operations = Array.from({ length: 14 }, (_, index) => ({ name: `op${index}`, type: 'echo', dependOn: [] }));
  using folder = folderWith([...operations, { name: 'op0', type: 'echo', payload: '@<gone.out>' }]);
  const { code, stderr } = await folder.pop(local);
  expect(code).toBe(2);
  expect(stderr).toContain('16 faults\n');
  expect(stderr.match(/\(unknownField\)/g)).toHaveLength(14);
  expect(stderr).toContain('agenda.json /operations/0/dependOn: dependOn is not a field of an Operation');
  expect(stderr).toContain('(operationNameDuplicate)');
  expect(stderr).toContain('(unknownReference)');
});

test.each([
  [['run', 'agenda.json'], 'say --local'],
  [['run', '--local', 'nowhere.json'], 'nowhere.json cannot be read'],
  [[...local, '--registry', 'nowhere.json'], 'nowhere.json cannot be read'],
  [[...local, '--mock', 'echo'], 'a mock is <type>=<file>'],
  [[...local, '--mock', 'echo=nowhere.json'], 'nowhere.json cannot be read'],
  [[...local, '--max-parallel', '0'], 'whole number from 1'],
  [[...local, '-o', 'xml'], 'xml'],
] as const)('%j is a wrong call, and nothing runs', async (args, said) => {
  using folder = folderWith([{ name: 'a', type: 'sleep' }]);
  const { code, stdout, stderr } = await folder.pop(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(said);
  expect(existsSync(join(folder.path, 'a'))).toBe(false);
});

test('Ctrl-C ends handlers, cancels the Agenda and leaves nothing behind', async () => {
  using folder = folderWith([
    { name: 'a', type: 'sleep' },
    { name: 'b', type: 'sleep', dependsOn: ['a'] },
  ]);
  const end = await folder.pop([...local, '-o', 'json'], {
    watch: (stderr, kill) => {
      if (stderr.includes('a: executing') && !stderr.includes('Cancelling')) kill('SIGINT');
    },
  });
  expect(end.code).toBe(1);
  expect(jsonOf(end)).toMatchObject({
    outcome: 'cancelled',
    operationProgress: [{ outcome: 'cancelled', failureCode: 'cancelled' }, { outcome: 'skipped' }],
  });
  expect(readdirSync(folder.runs)).toEqual([]);
});

test('a second signal does not wait for the grace of a handler that ignores the first', async () => {
  using folder = folderWith([{ name: 'a', type: 'stubborn' }]);
  const deaf = `trap "" TERM; echo '{ "message": "deaf" }' > "$POP_PROGRESS_FILE"; while :; do sleep 0.05; done`;
  folder.write('registry.json', { basePodConfig: {}, stubborn: shell(deaf, { graceSeconds: 600 }) });
  const sent = new Set<string>();
  const end = await folder.pop([...local, '-o', 'json'], {
    watch: (stderr, kill) => {
      const signal = stderr.includes('Cancelling') ? 'SIGTERM' : stderr.includes('a: deaf') ? 'SIGINT' : undefined;
      if (signal === undefined || sent.has(signal)) return;
      sent.add(signal);
      kill(signal);
    },
  });
  expect([...sent]).toEqual(['SIGINT', 'SIGTERM']);
  expect(jsonOf(end)).toMatchObject({ outcome: 'cancelled', operationProgress: [{ outcome: 'cancelled' }] });
  expect(readdirSync(folder.runs)).toEqual([]);
});

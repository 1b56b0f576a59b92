import { chmodSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PopFolder } from '../../test/support/pop-process.ts';

const echo = 'cat "$POP_PAYLOAD_FILE" > "$POP_RESULT_FILE"; echo said; echo also >&2';

test.each([
  ['handler.sh', echo],
  ['handler.js', 'import fs from "node:fs"; fs.writeFileSync(process.env.POP_RESULT_FILE, process.env.PAYLOAD);'],
  ['handler.ts', 'import fs from "node:fs"; fs.writeFileSync(process.env.POP_RESULT_FILE!, process.env.PAYLOAD!);'],
  ['handler.py', 'import os; open(os.environ["POP_RESULT_FILE"], "w").write(os.environ["PAYLOAD"])'],
  ['handler', `#!/bin/sh\n${echo}`],
])('%s is run as what it is, and its result is all that is on stdout', async (name, content) => {
  using folder = new PopFolder();
  chmodSync(folder.write(name, content), 0o755);
  folder.write('package.json', { type: 'module' });
  const { code, stdout, stderr } = await folder.pop(['handler', 'run', name, '--payload', '{ "a": [1] }']);
  expect(JSON.parse(stdout)).toEqual({ a: [1] });
  expect(stderr).toMatch(/handler: succeeded after .* s\n$/);
  if (content.includes('said')) expect(stderr).toMatch(/^said$[\s\S]*^also$/m);
  expect(code).toBe(0);
  expect(readdirSync(folder.runs)).toEqual([]);
});

test('a type is run with its entry, and so is a program that an entry names', async () => {
  using folder = new PopFolder();
  folder.write('handlers/tell.sh', 'echo "{ \\"who\\": \\"$WHO\\" }"');
  const entry = { command: ['sh', 'handlers/tell.sh'], envVars: { WHO: 'me' }, resultFrom: 'lastLogLine' };
  folder.write('registry.json', { basePodConfig: {}, tell: { podConfig: entry } });
  for (const named of ['tell', 'handlers/tell.sh']) {
    const { code, stdout } = await folder.pop(['handler', 'run', named]);
    expect({ code, result: JSON.parse(stdout) }).toEqual({ code: 0, result: { who: 'me' } });
  }
});

test('the payload comes from a file, from stdin, or is null; an earlier report is handed over', async () => {
  using folder = new PopFolder();
  folder.write('echo.sh', echo);
  folder.write('payload.json', ['from a file']);
  folder.write('last.sh', 'cat "$POP_LAST_PROGRESS_FILE" > "$POP_RESULT_FILE"');
  const resultOf = async (args: string[], input?: string) =>
    JSON.parse((await folder.pop(['handler', 'run', ...args], input === undefined ? {} : { input })).stdout);
  expect(await resultOf(['echo.sh', '--payload', 'payload.json'])).toEqual(['from a file']);
  expect(await resultOf(['echo.sh', '--payload', '-'], '7')).toBe(7);
  expect(await resultOf(['echo.sh'])).toBe(null);
  expect(await resultOf(['last.sh', '--last-progress', '{"params":{"at":3}}'])).toEqual({ params: { at: 3 } });
});

test('progress is seen while it runs, and a line of output without its end at the end', async () => {
  using folder = new PopFolder();
  const go = `until [ -e "$PWD/go" ]; do sleep 0.05; done; printf 'no end'`;
  folder.write('slow.sh', `echo '{ "message": "half", "percentComplete": 50 }' > "$POP_PROGRESS_FILE"; ${go}`);
  const { code, stderr } = await folder.pop(['handler', 'run', 'slow.sh'], {
    watch: (said) => {
      if (said.includes('slow: 50 % half')) folder.write('go', '');
    },
  });
  expect(code).toBe(0);
  expect(stderr).toContain('no end\nslow: succeeded');
});

test.each([
  ['exit 3', [], 1, /exitCode: The handler ended with exit code 3\.\ncategory handler, code exitCode/],
  ['echo no > "$POP_RESULT_FILE"', [], 1, /resultNotJson/],
  ['exec sleep 100', ['--run-seconds', '0.5'], 4, /timed out.*\n.*runSeconds = 0\.5/],
  ['exec sleep 100', ['--quiet-seconds', '0.5'], 4, /timed out.*\n.*quietSeconds = 0\.5/],
] as const)('%s with %j ends with %i', async (script, more, code, said) => {
  using folder = new PopFolder();
  folder.write('handler.sh', script);
  const end = await folder.pop(['handler', 'run', 'handler.sh', ...more]);
  expect(end).toMatchObject({ code, stdout: '' });
  expect(end.stderr).toMatch(said);
});

test.each([
  [['nowhere.sh'], 'nowhere.sh is no type of'],
  [['notes.txt'], 'notes.txt cannot be run'],
  [['handler.sh', '--payload', '{ "a": }'], 'the argument:1:8: not JSON'],
  [['handler.sh', '--payload', 'broken.json'], 'broken.json:2:1: not JSON'],
  [['handler.sh', '--registry', 'broken.json'], 'broken.json'],
  [['handler.sh', '--run-seconds', 'soon'], 'a number of seconds'],
] as const)('%j is a wrong call', async (args, said) => {
  using folder = new PopFolder();
  folder.write('handler.sh', 'touch ran');
  folder.write('notes.txt', '');
  folder.write('broken.json', '{\n');
  const { code, stderr } = await folder.pop(['handler', 'run', ...args]);
  expect(code).toBe(2);
  expect(stderr).toContain(said);
  expect(readdirSync(folder.path)).not.toContain('ran');
});

test('Ctrl-C asks the handler to end, which is a failure', async () => {
  using folder = new PopFolder();
  folder.write('handler.sh', 'trap "touch tidied; exit 0" TERM; echo ready; while :; do sleep 0.05; done');
  const { code, stderr } = await folder.pop(['handler', 'run', 'handler.sh'], {
    watch: (said, kill) => {
      if (said.includes('ready') && !said.includes('asked')) kill('SIGINT');
    },
  });
  expect(code).toBe(1);
  expect(stderr).toContain('handler: cancelled');
  expect(readdirSync(folder.path)).toContain('tidied');
});

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PopFolder } from '../../test/support/pop-process.ts';

const run = promisify(execFile);

test.each(['typescript', 'python', 'shell'])(
  'in %s, the commands that it names lead to a success',
  // npm fetches what a new handler needs.
  { timeout: 180_000 },
  async (language) => {
    using folder = new PopFolder();
    const made = await folder.pop(['handler', 'new', 'words', '--language', language]);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const commands = [...made.stdout.matchAll(/^ {2}(\S.*)$/gm)].map(([, line = '']) => line.split(' '));
    expect(commands[0]).toEqual(['cd', 'words']);
    // With `pop handler new` itself.
    expect(commands.length + 1).toBeLessThanOrEqual(5);
    const inside = join(folder.path, 'words');
    for (const [program = '', ...args] of commands.slice(1)) {
      if (program === 'pop') {
        const { code, stdout } = await folder.pop(args, { folder: inside });
        expect({ code, result: JSON.parse(stdout) }).toEqual({ code: 0, result: { words: 3 } });
      } else await run(program, args, { cwd: inside });
    }
    expect(readdirSync(inside)).toEqual(expect.arrayContaining(['Dockerfile', 'README.md', 'payload.json']));
    // Kubernetes takes a user by number only, where it is to see that it is not root.
    expect(readFileSync(join(inside, 'Dockerfile'), 'utf8')).toMatch(/^USER [1-9]\d*$/m);

    // By its registry entry: alone, and in an Agenda.
    const byType = await folder.pop(['handler', 'run', 'words', '--payload', 'words/payload.json']);
    expect(JSON.parse(byType.stdout)).toEqual({ words: 3 });
    const [, agenda = ''] = /```json\n(.*\n)```/.exec(readFileSync(join(inside, 'README.md'), 'utf8')) ?? [];
    expect(await folder.pop(['run', '--local', '-'], { input: agenda })).toMatchObject({ code: 0 });
  },
);

test('the test of a new handler fails when the handler is wrong', async () => {
  using folder = new PopFolder();
  await folder.pop(['handler', 'new', 'words', '--language', 'shell']);
  const file = join(folder.path, 'words/handler.sh');
  folder.write('words/handler.sh', readFileSync(file, 'utf8').replace('"$#"', '4'));
  await expect(run('sh', ['test.sh'], { cwd: join(folder.path, 'words') })).rejects.toMatchObject({ code: 1 });
});

test('an entry is added to a registry of which nothing else changes', async () => {
  using folder = new PopFolder();
  const before = '{\n    "basePodConfig":   {},\n\n    "b": { "podConfig": { "command": ["true"] } }\n  }\n\n';
  folder.write('pools/registry.json', before);
  const made = await folder.pop([
    'handler',
    'new',
    'words',
    '--language',
    'shell',
    '--registry',
    'pools/registry.json',
  ]);
  expect(made).toMatchObject({ code: 0 });
  const after = readFileSync(join(folder.path, 'pools/registry.json'), 'utf8');
  const entry = '{ "podConfig": { "command": ["sh", "../words/handler.sh"], "runSeconds": 600 } }';
  expect(after).toBe(before.replace('] } }\n', `] } },\n    "words": ${entry}\n`));
  expect(readdirSync(join(folder.path, 'pools'))).toEqual(['registry.json']);
});

test.each([
  ['words', 'is there already'],
  ['known', 'has the type known already'],
  ['basePodConfig', 'has the type basePodConfig already'],
  ['a/b', 'no good name'],
  ['9lives', 'no good name'],
])('%s is refused, and nothing is made', async (name, said) => {
  using folder = new PopFolder();
  mkdirSync(join(folder.path, 'words'));
  const registry = '{ "basePodConfig": {}, "known": { "podConfig": { "command": ["true"] } } }';
  folder.write('registry.json', registry);
  const before = readdirSync(folder.path);
  const { code, stderr } = await folder.pop(['handler', 'new', name]);
  expect(code).toBe(2);
  expect(stderr).toContain(said);
  expect(readdirSync(folder.path).filter((file) => file !== 'temporary')).toEqual(before);
  expect(readFileSync(join(folder.path, 'registry.json'), 'utf8')).toBe(registry);
});

test('a registry that cannot be read is refused with its fault', async () => {
  using folder = new PopFolder();
  folder.write('registry.json', '{ "basePodConfig": {},\n "b": { "podConfig": { "comand": [] } } }');
  const { code, stderr } = await folder.pop(['handler', 'new', 'words', '--language', 'shell']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/registry\.json:2 .*comand/);
  expect(readdirSync(folder.path)).not.toContain('words');
});

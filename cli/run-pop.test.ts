import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { type CommandEntry, type CommandGroup, commandTree } from './command-tree.ts';
import { CommandError, type ExitCode, exitCodeOf, exitCodeOfStatus, exitCodes } from './exit-codes.ts';

const program = fileURLToPath(new URL('./pop.ts', import.meta.url));
const pop = (...args: string[]) => promisify(execFile)(process.execPath, [program, ...args], { env: {} });
const failure = (...args: string[]) =>
  pop(...args).then(
    () => expect.fail(`pop ${args.join(' ')} did not fail`),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );

/** Paths of all commands, groups too. */
function pathsOf(at: CommandGroup | CommandEntry, path: readonly string[] = []): string[][] {
  const below = 'commands' in at ? Object.entries(at.commands) : [];
  return [[...path], ...below.flatMap(([name, child]) => pathsOf(child, [...path, name]))];
}

describe('help', () => {
  test.each(pathsOf(commandTree).map((path) => ['pop', ...path].join(' ')))('%s begins with examples', async (name) => {
    const path = name.split(' ').slice(1);
    const { stdout } = await pop(...path, '--help');
    expect(stdout).toMatch(/^Examples:\n {2}(?:# .*\n {2})?pop/);
    expect(stdout).toContain(`Usage: ${name}`);
    expect((await pop('help', ...path)).stdout).toBe(stdout);
  });

  test('pop alone lists the commands and the exit codes', async () => {
    const { stdout } = await pop();
    for (const [name, { summary }] of Object.entries(commandTree.commands))
      expect(stdout).toMatch(new RegExp(`${name} +${summary}`));
    for (const code of Object.values(exitCodes)) expect(stdout).toMatch(new RegExp(`Exit codes:.* ${code} `));
    expect((await pop('version')).stdout).toBe(`${manifest.version}\n`);
    expect((await pop('--version')).stdout).toBe(`${manifest.version}\n`);
  });
});

describe('a wrong call ends with 2 and says what is near', () => {
  test.each([
    [['instalation'], 'pop: there is no command "instalation"; pop help lists them\n(Did you mean installation?)'],
    [['help', 'kye'], '(Did you mean key?)'],
    [['kye', '--help'], 'there is no command "kye"'],
    [['key', 'turn'], 'pop key: there is no action "turn"; pop help key lists them'],
    [['installation', 'renw'], '(Did you mean renew?)'],
    [['installation', 'renew', '--take-ove'], "pop installation renew: unknown option '--take-ove'\n(Did you mean"],
    [['installation', 'renew', 'now'], 'too many arguments'],
    [['up', '--port', '99999'], 'It must be a port number'],
    [['up', '--port'], 'argument missing'],
    [['key'], 'pop key: an action is missing; known: create, rotate-launch-tokens'],
  ])('pop %j', async (args, said) => {
    const { code, stdout, stderr } = await failure(...args);
    expect(stderr).toContain(said);
    expect(stdout).toBe('');
    expect(code).toBe(exitCodes.usage);
  });

  test('what every object has by itself is no command', async () => {
    expect((await failure('constructor')).stderr).toContain('there is no command "constructor"');
  });
});

describe('exit codes', () => {
  test('of an answer of the api, by its status', () => {
    const codes: Record<number, ExitCode> = { 200: 0, 304: 0, 408: 4, 504: 4, 429: 5, 502: 5, 503: 5, 500: 1 };
    for (const status of [400, 401, 403, 404, 409, 422]) codes[status] = exitCodes.refused;
    for (const [status, code] of Object.entries(codes))
      expect([status, exitCodeOfStatus(Number(status))]).toEqual([status, code]);
  });

  test('are those of the table for people', () => {
    const [, table = ''] = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8').split(
      '### Exit codes',
    );
    const told = [...table.matchAll(/^\| (\d) +\| (.+?) *\|$/gm)].map(([, code]) => Number(code));
    expect(told).toEqual(Object.values(exitCodes));
  });

  test('of what a command threw', () => {
    expect(exitCodeOf(new CommandError(exitCodes.timedOut, 'late'))).toBe(4);
    expect(exitCodeOf(new Error('broken'))).toBe(1);
    expect(exitCodeOf('broken')).toBe(1);
  });
});

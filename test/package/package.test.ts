/**
 * The packages as users get them: packed, installed into a folder that knows nothing of the clone, with an empty home,
 * and tried by the commands that the documents name.
 */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const run = promisify(execFile);
const clone = fileURLToPath(new URL('../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'pop-package-'));
const [packages, home, folder] = ['packages', 'home', 'folder'].map((name) => join(scratch, name)) as [
  string,
  string,
  string,
];
const installed = join(folder, 'node_modules', manifest.name);

/** Nothing of the clone: neither its programs nor what npm set for this run. The cache of npm saves time only. */
function environment(npmCache: string): NodeJS.ProcessEnv {
  const path = (process.env.PATH ?? '').split(delimiter).filter((each) => !each.startsWith(clone));
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(package|lifecycle|config_local)|POP_|VITEST|NODE_)/.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    PATH: [join(folder, 'node_modules', '.bin'), dirname(process.execPath), ...path].join(delimiter),
    HOME: home,
    npm_config_cache: npmCache,
  };
}

let env: NodeJS.ProcessEnv = {};

const call = (program: string, args: readonly string[], cwd = folder) =>
  run(program, [...args], { cwd, env, maxBuffer: 16 * 1024 * 1024 });

/** All files of the installed package. */
const filesOfPackage = () => (readdirSync(installed, { recursive: true }) as string[]).sort();

beforeAll(async () => {
  // Started by root, Postgres runs as somebody else, who must get through.
  chmodSync(scratch, 0o755);
  for (const made of [packages, home, folder]) mkdirSync(made);
  const { stdout: cache } = await run('npm', ['config', 'get', 'cache'], { cwd: clone });
  env = environment(cache.trim());
  const pack = (what: string) =>
    run('npm', ['pack', what, '--pack-destination', packages, '--loglevel=error'], {
      cwd: clone,
      maxBuffer: 16 * 1024 * 1024,
    });
  await pack('.');
  await pack('./handler');
  const tarballs = readdirSync(packages).map((name) => join(packages, name));
  expect(tarballs).toHaveLength(2);
  await call('npm', ['init', '-y']);
  await call('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...tarballs]);
}, 600_000);

afterAll(() => rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));

test('the package holds what runs and its types, and nothing of development; the clone is as before', () => {
  const files = filesOfPackage().filter((path) => !path.startsWith('node_modules'));
  expect(files).toEqual(expect.arrayContaining(['dist/cli/pop.js', 'dist/cli/pop.d.ts', 'dist/workflow-bundle.js']));
  const wrong = files.filter((path) => /\.test\.|(?<!\.d)\.ts$|^(test|bench|docs|scripts)\b|CONTRIBUTING/.test(path));
  expect(wrong).toEqual([]);
  const packed = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>;
  expect(packed).toMatchObject({ version: manifest.version, engines: { node: '>=22.19' } });
  expect(packed).not.toHaveProperty('scripts');
  expect(JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8'))).toEqual(manifest);
});

test('pop tells its version and its commands', async () => {
  expect((await call('pop', ['version'])).stdout).toBe(`${manifest.version}\n`);
  expect((await call('pop', ['help'])).stdout).toMatch(/run .*\n.*handler /);
});

test('an Agenda runs with the example handlers of the package, without a server', async () => {
  const registry = join(installed, 'dist/examples/handlers/registry.json');
  const readme = join(installed, 'README.md');
  const operations = [
    { name: 'words', type: 'countWords', payload: { files: [readme] } },
    { name: 'size', type: 'size', payload: { file: readme } },
    { name: 'tell', type: 'logMessages', payload: { logMessages: ['@<words.out::/words> in @<size.out::/bytes>'] } },
  ];
  writeFileSync(join(folder, 'agenda.json'), JSON.stringify({ customerId: 'demo', operations }));
  const { stdout, stderr } = await call('pop', ['run', '--local', 'agenda.json', '--registry', registry, '-o', 'json']);
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'succeeded', percentComplete: 100 });
  expect(stderr).toMatch(new RegExp(`tell: \\d+ in ${readFileSync(readme).byteLength}\\n`));
});

test.each(['typescript', 'python', 'shell'])(
  'a new handler in %s is made, passes its test and runs',
  async (language) => {
    const { stdout } = await call('pop', ['handler', 'new', language, '--language', language]);
    const commands = [...stdout.matchAll(/^ {2}(\S.*)$/gm)].map(([, line = '']) => line.split(' ')).slice(1);
    expect(commands.length).toBeLessThanOrEqual(3);
    for (const [program = '', ...args] of commands) {
      const { stdout: said } = await call(program, args, join(folder, language));
      if (program === 'pop') expect(JSON.parse(said)).toEqual({ words: 3 });
    }
    const agenda = { customerId: 'demo', operations: [{ name: 'first', type: language, payload: { text: 'a b' } }] };
    writeFileSync(join(folder, `${language}.json`), JSON.stringify(agenda));
    const ran = await call('pop', ['run', '--local', `${language}.json`, '-o', 'json']);
    expect(JSON.parse(ran.stdout).operationProgress[0]).toMatchObject({ resultPayload: '{"words":2}' });
  },
);

test('a whole system starts, completes an Agenda, ends, and writes nothing into the package', async () => {
  const before = filesOfPackage();
  const ports = ['--port', '--temporal-port', '--ui-port', '--postgres-port'].flatMap((option) => [option, '0']);
  const registry = join(installed, 'dist/examples/handlers/registry.json');
  const child = spawn('pop', ['up', ...ports, '--registry', registry], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  try {
    await expect
      .poll(() => (child.exitCode === null ? said : `ended\n${said}`), { timeout: 150_000, interval: 200 })
      .toMatch(/Ctrl-C stops it|^ended/);
    expect(said).toContain('Ctrl-C stops it');
    const [api = ''] = /http:\S+\/v1$/m.exec(said) ?? [];
    const [key = ''] = /pop_local_[\w-]+/.exec(said) ?? [];
    const ask = async (method: string, path: string, body?: unknown) => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      const answer = await fetch(api + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
      expect(answer.ok, `${path}: ${answer.status}`).toBe(true);
      return (await answer.json()) as Record<string, unknown>;
    };
    const { progressId } = await ask('POST', '/agenda', JSON.parse(readFileSync(join(folder, 'agenda.json'), 'utf8')));
    expect(await ask('GET', `/progress/agenda/${progressId}?wait=60s`)).toMatchObject({ outcome: 'succeeded' });
  } finally {
    child.kill('SIGINT');
  }
  expect(await ended, said).toBe(0);
  expect(readdirSync(join(home, '.pop'))).toEqual(expect.arrayContaining(['bin', 'data']));
  expect(filesOfPackage()).toEqual(before);
});

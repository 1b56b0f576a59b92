/** The package as an author gets it: packed, installed outside of the clone, checked by the compiler, and run. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
let folder: string;
let consumer: string;

/** Packs a copy of the sources, for a build in the clone would be seen by whoever reads it meanwhile. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pop-package-'));
  const clone = join(folder, 'clone');
  consumer = join(folder, 'consumer');
  await mkdir(join(clone, 'handler'), { recursive: true });
  await mkdir(consumer);
  await cp(join(root, 'tsconfig.json'), join(clone, 'tsconfig.json'));
  await cp(join(root, 'handler'), join(clone, 'handler'), {
    recursive: true,
    filter: (path) => !/\/(dist|node_modules|__pycache__)$/.test(path),
  });
  await symlink(join(root, 'node_modules'), join(clone, 'node_modules'));
  await execute('npm', ['pack', '--pack-destination', folder], { cwd: join(clone, 'handler') });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? 'none';
  await writeFile(join(consumer, 'package.json'), '{ "type": "module" }');
  await execute('npm', ['install', '--offline', '--no-audit', '--no-fund', join(folder, tarball)], { cwd: consumer });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('it has JavaScript and types, no sources, no tests and no dependencies', async () => {
  const installed = join(consumer, 'node_modules/@pop/handler');
  const files = (await readdir(installed, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
  const names = files.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['index.js', 'index.d.ts', 'README.md', 'package.json']));
  const strangers = names.filter((name) => !/\.d\.ts$|\.js$|^README\.md$|^package\.json$/.test(name));
  expect(strangers).toEqual([]);
  expect(names.filter((name) => /\.test\.|sample/.test(name))).toEqual([]);
  expect(await readdir(join(consumer, 'node_modules'))).toEqual(['.package-lock.json', '@pop']);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))).toMatchObject({
    name: '@pop/handler',
    version,
    engines: { node: '>=22.19' },
  });
});

test('a handler in JavaScript runs', async () => {
  const handler = `import { fail, runHandler } from '@pop/handler';
    await runHandler(async ({ payload, runExternal }) => {
      const lines = [];
      await runExternal({ command: ['echo', payload.word], onLine: (line) => lines.push(line) });
      return { lines };
    });`;
  await writeFile(join(consumer, 'handler.js'), handler);
  const env = { PATH: process.env.PATH, PAYLOAD: '{"word":"hello"}' };
  const { stdout } = await execute(process.execPath, ['handler.js'], { cwd: consumer, env });
  expect(stdout).toBe('{"lines":["hello"]}\nCOMPLETE 100% succeeded\n');
});

test('its types say what a payload is, and refuse what a report is not', async () => {
  const source = `import { type HandlerContext, type JsonObject, runHandler, testHandler } from '@pop/handler';
    import { z } from 'zod';
    const schema = z.object({ n: z.number() });
    const options = { payload: schema, run: async ({ payload, report }: HandlerContext<{ n: number }>) => {
      report('half', 50); report(50); report('EXECUTING', 'words'); report({ params: { at: 1 } });
      return { twice: payload.n * 2 };
    } };
    export const tested: Promise<{ result: unknown }> = testHandler(options, { payload: { n: 1 } });
    export const params: JsonObject = { a: [1, null] };
    await runHandler({
      payload: z.object({ n: z.number() }),
      run: async ({ payload, report, signal, runExternal }) => {
        const n: number = payload.n;
        // @ts-expect-error there is no such field of the payload
        payload.m;
        // @ts-expect-error a state has a message
        report('EXECUTING', true);
        // @ts-expect-error no such field of a tool
        await runExternal({ imag: 'alpine' });
        signal.throwIfAborted();
        return n;
      },
    });`;
  await writeFile(join(consumer, 'typed.ts'), source);
  const strict = {
    strict: true,
    module: 'nodenext',
    target: 'es2023',
    noEmit: true,
    types: ['node'],
    skipLibCheck: false,
  };
  await writeFile(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions: strict, files: ['typed.ts'] }));
  for (const name of ['zod', '@types', 'undici-types'])
    await symlink(join(root, 'node_modules', name), join(consumer, 'node_modules', name));
  const compiled = await execute(join(root, 'node_modules/.bin/tsc'), ['-p', consumer]).catch(
    (error: { stdout: string }) => error,
  );
  expect(compiled.stdout).toBe('');
});

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureDefaults, firstCommand } from '../../machine/defaults.ts';
import { System } from '../../machine/system.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFile(join(root, path), 'utf8');

test.for([
  ['README.md', 'examples/submit.ts'],
  ['README.md', 'examples/handlers/count-words.ts'],
  ['README.md', 'examples/handlers/registry.json'],
  ['docs/handlers.md', 'examples/handlers/count-words.ts'],
  ['docs/handlers.md', 'examples/handlers/size.sh'],
  ['docs/handlers.md', 'examples/handlers/size-with-progress.sh'],
  ['docs/handlers.md', 'examples/handlers/count_lines.py'],
  ['docs/handlers.md', 'examples/handlers/count_words.py'],
  ['docs/handlers.md', 'examples/handlers/checksum.ts'],
  ['docs/handlers.md', 'examples/handlers/by-itself.sh'],
  ['docs/handlers.md', 'examples/handlers/registry.json'],
])('%s shows %s as it is', async ([page = '', file = '']) => {
  expect(await read(page)).toContain(`\n${(await read(file)).trimEnd()}\n\`\`\``);
});

test('every link of the pages to a file leads somewhere', async () => {
  for (const page of ['README.md', 'docs/handlers.md', 'docs/operations.md']) {
    const folder = join(root, page, '..');
    for (const [, target = ''] of (await read(page)).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      await expect(run('ls', ['-d', join(folder, target)]), `${page}: ${target}`).resolves.toBeDefined();
    }
  }
});

describe('on a fresh installation', () => {
  let home: string;
  let system: System;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'pop-readme-'));
    system = await System.start({ home, registry: join(root, 'examples', 'media', 'registry.json') });
    await ensureDefaults(system);
  });
  afterAll(async () => {
    await system?.stopAll();
    await rm(home, { recursive: true, force: true });
  });

  /** A command of the README, on this system's port and home. */
  const shell = async (command: string) => {
    const here = command
      .replaceAll('http://127.0.0.1:8080/v1', system.urls.api)
      .replaceAll('./.pop/data/', `${system.data}/`);
    return (await run('bash', ['-ec', here], { cwd: root })).stdout;
  };
  const ended = async (progressId: string) => {
    const answer = await fetch(`${system.urls.api}/progress/agenda/${progressId}?wait=30s`, {
      headers: { authorization: `Bearer ${system.keys.operator}` },
    });
    return (await answer.json()) as { processingState: string; processingStateMessage: string };
  };

  test('the first commands of the README work when they are pasted', async () => {
    const readme = await read('README.md');
    const section = readme.slice(readme.indexOf('## A first Agenda'), readme.indexOf('## From TypeScript'));
    const [submit = '', list = ''] = [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, command]) => command);
    const submitted = JSON.parse(await shell(submit)) as { title: string; progressId: string };
    expect(submitted.title).toBe('My first Agenda');
    expect(await ended(submitted.progressId)).toMatchObject({
      processingState: 'COMPLETE',
      processingStateMessage: 'succeeded',
    });
    const key = submit.split('\n')[0];
    const listed = JSON.parse(await shell(`${key}\n${list}`)) as {
      all: { title: string; operationProgress: unknown[] }[];
    };
    expect(listed.all).toMatchObject([{ title: 'My first Agenda', processingStateMessage: 'succeeded' }]);
    expect(listed.all[0]?.operationProgress).toHaveLength(2);
  });

  test('the command that npm start prints works when it is pasted', async () => {
    const submitted = JSON.parse(await shell(firstCommand(system))) as { progressId: string };
    expect(await ended(submitted.progressId)).toMatchObject({ processingStateMessage: 'succeeded' });
  });

  test('examples/submit.ts submits and sees the end', async () => {
    const environment = { ...process.env, POP_URL: system.urls.api, POP_API_KEY: system.keys.operator };
    const { stdout } = await run(process.execPath, ['examples/submit.ts'], { cwd: root, env: environment });
    expect(stdout).toMatch(/^[0-9a-f-]{36} succeeded\n$/);
  });
});

describe('the handlers of the documentation', () => {
  test('count-words returns the number of words', async () => {
    const environment = { PATH: process.env.PATH, PAYLOAD: JSON.stringify({ files: ['README.md'] }) };
    const { stdout } = await run(process.execPath, ['examples/handlers/count-words.ts'], {
      cwd: root,
      env: environment,
    });
    expect(JSON.parse(stdout.split('\n').at(-3) ?? '')).toEqual({ words: expect.any(Number) });
  });

  test('size returns the bytes, and fails without the file', async () => {
    const size = (file: string) =>
      run('sh', ['examples/handlers/size.sh'], {
        cwd: root,
        env: { PATH: process.env.PATH, PAYLOAD: JSON.stringify({ file }) },
      });
    expect(JSON.parse((await size('LICENSE-absent').catch(() => ({ stdout: 'null' }))).stdout)).toBeNull();
    expect(JSON.parse((await size('README.md')).stdout)).toEqual({ bytes: Buffer.byteLength(await read('README.md')) });
  });
});

import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { closureOf, reachedBeyond, readRooms } from '../test/support/walls.ts';
import { bundledRooms, versionOfSources } from './workflow-bundle.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The sources of the bundle, copied to a place where they can be changed. */
async function copiedSources(): Promise<AsyncDisposable & { readonly root: string }> {
  const copy = await mkdtemp(join(tmpdir(), 'pop-bundle-'));
  for (const name of [...bundledRooms, 'package-lock.json'])
    await cp(join(root, name), join(copy, name), { recursive: true });
  return { root: copy, [Symbol.asyncDispose]: () => rm(copy, { recursive: true, force: true }) };
}

async function plant(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

test('the same sources are one version, wherever they lie', async () => {
  await using sources = await copiedSources();
  expect(await versionOfSources(sources.root)).toBe(await versionOfSources(root));
});

test.each(bundledRooms)('a change in a new sub-folder of %s/ is another version', async (room) => {
  await using sources = await copiedSources();
  const file = join(sources.root, room, 'deep', 'deeper', 'rule.ts');
  const versions = [await versionOfSources(sources.root)];
  await plant(file, 'export const limit = 1;\n');
  versions.push(await versionOfSources(sources.root));
  await plant(file, 'export const limit = 2;\n');
  versions.push(await versionOfSources(sources.root));
  await rename(file, file.replace('rule.ts', 'limit.ts'));
  versions.push(await versionOfSources(sources.root));
  expect(new Set(versions).size).toBe(4);
});

test('all that a workflow may import of ours is in the version, and all that it does import', () => {
  const rooms = readRooms(readFileSync(join(root, 'docs/architecture.md'), 'utf8'));
  const cell = rooms.find(({ path }) => path === 'workflows/')?.mayImport;
  expect(['workflows/', ...(cell ?? [])].map((path) => path.split('/')[0])).toEqual(bundledRooms);
  const closure = closureOf(root, 'workflows/index.ts');
  expect(reachedBeyond(closure, [...bundledRooms, '@temporalio'])).toEqual([]);
});

test('another package is another version, a changed test is not', async () => {
  await using sources = await copiedSources();
  const version = await versionOfSources(sources.root);
  await plant(join(sources.root, 'workflows', 'deep', 'rule.test.ts'), 'export {};\n');
  expect(await versionOfSources(sources.root)).toBe(version);
  await plant(join(sources.root, 'package-lock.json'), '{}\n');
  expect(await versionOfSources(sources.root)).not.toBe(version);
});

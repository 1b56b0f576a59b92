/** Every type of the example registry, as a pool's worker runs it. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ending, HandlerRun } from '../../launchers/launcher.ts';
import { loadRegistry, settingsFor } from '../../launchers/registry.ts';
import { recorded, runOf, scratch, startToEnd } from '../../test/support/scratch.ts';

const registry = loadRegistry(fileURLToPath(new URL('./registry.json', import.meta.url)));
const hasPython = spawnSync('python3', ['--version']).status === 0;
const text = 'two words\nand three more\n';
let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pop-examples-'));
  file = join(folder, 'a.txt');
  writeFileSync(file, text);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function ended(
  type: string,
  payload: object,
  more: Partial<HandlerRun> = {},
  events = recorded(),
): Promise<Ending> {
  await using at = scratch();
  const settings = settingsFor(registry, type) ?? expect.fail(`no type ${type}`);
  const run = { ...runOf({ command: ['true'] }, { payload: JSON.stringify(payload), ...more }), settings };
  return await startToEnd(at.launcher, run, events);
}

test('the shell: payload, progress and result by files', async () => {
  const events = recorded();
  expect(await ended('size', { file })).toMatchObject({ kind: 'succeeded', result: { bytes: 25 } });
  const ending = await ended('sizeWithProgress', { file }, {}, events);
  expect(ending).toMatchObject({ kind: 'succeeded', result: { bytes: 25 }, progress: { percentComplete: 90 } });
  expect(await ended('sizeWithProgress', { file: `${file}.none` })).toMatchObject({ kind: 'failed', code: 'exitCode' });
  // A payload that no variable holds comes by its file.
  expect(await ended('sizeWithProgress', { file, more: 'x'.repeat(200_000) })).toMatchObject({ result: { bytes: 25 } });
});

test('TypeScript: counts words, and runs a tool whose failure is its own', async () => {
  expect(await ended('countWords', { files: [file, file] })).toMatchObject({
    kind: 'succeeded',
    result: { words: 10 },
  });
  const checksum = createHash('sha256').update(text).digest('hex');
  expect(await ended('checksum', { file })).toMatchObject({ kind: 'succeeded', result: { checksum } });
  expect(await ended('checksum', { file: `${file}.none` })).toMatchObject({
    kind: 'failed',
    diagnosticEvents: [{ code: 'externalFailed', payload: { exitCode: 1, launch: 'local' } }, {}],
  });
});

test.runIf(hasPython)(
  'Python: without the module, and with it, which goes on where the attempt before stopped',
  async () => {
    expect(await ended('countLines', { files: [file, file] })).toMatchObject({
      kind: 'succeeded',
      result: { lines: 4 },
    });
    expect(await ended('countLines', { files: [`${file}.none`] })).toMatchObject({ kind: 'failed' });
    const files = [`${file}.read.before`, file];
    const lastProgress = JSON.stringify({ params: { words: 100, done: 1 } });
    expect(await ended('countWordsInPython', { files }, { lastProgress })).toMatchObject({
      kind: 'succeeded',
      result: { words: 105 },
    });
    expect(await ended('countWordsInPython', { files })).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [{ code: 'noFile' }, {}],
    });
  },
);

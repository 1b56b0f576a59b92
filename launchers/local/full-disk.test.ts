/** Runs on a disk that is full: of a few megabytes, in memory, where this user may mount one. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { never, recorded, runOf, shell, startToEnd } from '../../test/support/scratch.ts';
import { LaunchError } from '../launcher.ts';
import { LocalLauncher } from './local-launcher.ts';

interface Disk extends Disposable {
  readonly root: string;
}

/** Undefined where this user may not mount. */
function smallDisk(): Disk | undefined {
  const root = mkdtempSync(join(tmpdir(), 'pop-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', root], { stdio: 'ignore' });
  } catch {
    rmdirSync(root);
    return undefined;
  }
  return {
    root,
    [Symbol.dispose]() {
      // Lazily: a shim that has just written the end may still stand in it.
      execFileSync('umount', ['--lazy', root]);
      rmdirSync(root);
    },
  };
}

const fill = (root: string) => shell(`cat /dev/zero > "${root}/filler" 2>/dev/null; exit 0`);
const seconds = 60_000;

test('B20: the end of a handler that filled the disk is kept', { timeout: seconds }, async ({ skip }) => {
  using disk = smallDisk();
  if (disk === undefined) return skip('this user may not mount a file system');
  const launcher = new LocalLauncher({ root: join(disk.root, 'runs') });
  const ending = await startToEnd(launcher, runOf(fill(disk.root)));
  expect(ending).toMatchObject({ kind: 'succeeded', endedTime: expect.any(Number) });
});

test('B20: on a full disk nothing is launched, which is no failure for good; with space again it is', {
  timeout: seconds,
}, async ({ skip }) => {
  using disk = smallDisk();
  if (disk === undefined) return skip('this user may not mount a file system');
  const launcher = new LocalLauncher({ root: join(disk.root, 'runs') });
  await startToEnd(launcher, runOf(fill(disk.root), { key: 'filler' }));
  const run = runOf(shell('echo done'), { key: 'late' });
  const error = await launcher.start(run).catch((reason: unknown) => reason);
  expect(error).not.toBeInstanceOf(LaunchError);
  expect(String(error)).toContain('ENOSPC');
  await launcher.forget('late');
  rmSync(join(disk.root, 'filler'));
  await launcher.start(run);
  expect(await launcher.follow(run, recorded(), never())).toMatchObject({ kind: 'succeeded' });
});

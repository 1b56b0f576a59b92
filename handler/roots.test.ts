import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HandlerFailure } from './handler-failure.ts';
import { openSource, openTarget } from './roots.ts';

let folder: string;
let root: string;
let outside: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'pop-roots-')));
  root = join(folder, 'root');
  outside = join(folder, 'outside');
  for (const each of [root, outside]) mkdirSync(each);
  writeFileSync(join(root, 'a.txt'), 'a');
  writeFileSync(join(outside, 'secret.txt'), 'secret');
  allow([root], [root]);
});
afterEach(() => {
  delete process.env.POP_READ_ROOTS;
  delete process.env.POP_WRITE_ROOTS;
  rmSync(folder, { recursive: true });
});

function allow(read: readonly string[], write: readonly string[]): void {
  process.env.POP_READ_ROOTS = JSON.stringify(read);
  process.env.POP_WRITE_ROOTS = JSON.stringify(write);
}

/** What the opening fails with. */
function failure(open: () => Disposable): { code: string | undefined; message: string } {
  try {
    using _ = open();
  } catch (error) {
    if (error instanceof HandlerFailure) return { code: error.details.code, message: error.message };
    throw error;
  }
  throw new Error('It was opened.');
}

describe('a source', () => {
  const read = (asked: string): string => {
    using source = openSource(asked, 'file');
    return readFileSync(source.path, 'utf8');
  };

  test('is read below a root: by its path, one with .., a link that stays within, and when the root is a link', () => {
    symlinkSync(join(root, 'a.txt'), join(root, 'within.txt'));
    mkdirSync(join(root, 'deep', 'er'), { recursive: true });
    writeFileSync(join(root, 'deep', 'er', 'b.txt'), 'b');
    expect(read(join(root, 'a.txt'))).toBe('a');
    expect(read(`${root}/deep/../a.txt`)).toBe('a');
    expect(read(join(root, 'within.txt'))).toBe('a');
    expect(read(join(root, 'deep', 'er', 'b.txt'))).toBe('b');
    symlinkSync(root, join(folder, 'alias'));
    allow(['/no/such/root', join(folder, 'alias')], []);
    expect(read(join(root, 'a.txt'))).toBe('a');
    expect(read(join(folder, 'alias', 'a.txt'))).toBe('a');
  });

  test('outside is refused in the same words, whether it exists or not, and they tell no root', () => {
    symlinkSync(join(outside, 'secret.txt'), join(root, 'link.txt'));
    symlinkSync(outside, join(root, 'link'));
    mkdirSync(`${root}-evil`);
    writeFileSync(`${root}-evil/x.txt`, 'x');
    const asked = [
      join(outside, 'secret.txt'),
      join(outside, 'absent.txt'),
      join(outside, 'secret.txt', 'below-a-file'),
      `${root}/../outside/secret.txt`,
      join(root, 'link.txt'),
      join(root, 'link', 'secret.txt'),
      join(root, 'link', 'absent.txt'),
      `${root}-evil/x.txt`,
      'a.txt',
      '/',
    ];
    for (const each of asked) {
      const { code, message } = failure(() => openSource(each, 'file'));
      expect(code, each).toBe('pathNotAllowed');
      expect(message).toBe(
        `"file" is "${each}": it is outside of the folders that this pool allows to be read, ` +
          '"readRoots" of the registry entry.',
      );
    }
  });

  test('that is missing, a folder or a pipe says so', () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    symlinkSync(join(root, 'absent'), join(root, 'dangling'));
    for (const name of ['absent.txt', 'absent/b.txt', 'a.txt/b', '.', 'pipe']) {
      expect(failure(() => openSource(`${root}/${name}`, 'file')).code, name).toBe('noFile');
    }
    expect(failure(() => openSource(join(root, 'dangling'), 'file'))).toMatchObject({
      code: 'pathNotAllowed',
      message: expect.stringContaining('a link that is not followed'),
    });
    mkdirSync(join(root, 'sub'));
    expect(failure(() => openSource(join(root, 'sub'), 'file')).message).toContain('not a regular file');
    expect(failure(() => openSource(join(root, 'x'.repeat(5_000)), 'file')).message).toMatch(
      /x…": it cannot be read \(ENAMETOOLONG\)\.$/,
    );
    expect(failure(() => openSource(`${root}/a.txt\0.mp4`, 'file'))).toMatchObject({ code: 'pathNotAllowed' });
  });

  test('is refused when the registry names no root, or none that is there', () => {
    const asked = join(root, 'a.txt');
    allow([], [root]);
    expect(failure(() => openSource(asked, 'file')).message).toBe(
      `"file" is "${asked}": nothing may be read, because the registry entry of this type names no "readRoots".`,
    );
    delete process.env.POP_READ_ROOTS;
    expect(failure(() => openSource(asked, 'file')).message).toContain('names no "readRoots"');
    allow([join(folder, 'absent')], [root]);
    expect(failure(() => openSource(asked, 'file')).message).toMatch(
      /none of the folders that "readRoots" .* can be used on this host\.$/,
    );
  });
});

describe('a target', () => {
  const write = (asked: string, text: string): void => {
    using target = openTarget(asked, 'to');
    writeFileSync(join(target.folder, target.name), text);
  };

  test('below a root is written, its folders made', () => {
    write(join(root, 'new', 'deep', 'b.txt'), 'b');
    write(join(root, 'a.txt'), 'again');
    expect(readFileSync(join(root, 'new', 'deep', 'b.txt'), 'utf8')).toBe('b');
    expect(readFileSync(join(root, 'a.txt'), 'utf8')).toBe('again');
  });

  test('outside is refused, and no folder is made there', () => {
    symlinkSync(outside, join(root, 'link'));
    symlinkSync(join(outside, 'made'), join(root, 'dangling'));
    const asked = [
      join(outside, 'b.txt'),
      join(outside, 'new', 'b.txt'),
      `${root}/../b.txt`,
      join(root, 'link', 'b.txt'),
      join(root, 'link', 'new', 'b.txt'),
      root,
      folder,
      '/',
      'b.txt',
    ];
    for (const each of asked) {
      const { code, message } = failure(() => openTarget(each, 'to'));
      expect(code, each).toBe('pathNotAllowed');
      expect(message).toContain(`"to" is "${each}": `);
    }
    expect(failure(() => openTarget(join(root, 'dangling', 'b.txt'), 'to')).code).toMatch(/^(pathNotAllowed|noFile)$/);
    expect(readdirSync(outside)).toEqual(['secret.txt']);
    allow([root], []);
    expect(failure(() => openTarget(join(root, 'b.txt'), 'to')).message).toContain('names no "writeRoots"');
  });

  test.runIf(process.platform === 'linux')('stays in the folder that was checked, though a link took its place', () => {
    mkdirSync(join(root, 'sub'));
    using target = openTarget(join(root, 'sub', 'b.txt'), 'to');
    renameSync(join(root, 'sub'), join(root, 'moved'));
    symlinkSync(outside, join(root, 'sub'));
    writeFileSync(join(target.folder, target.name), 'b');
    expect(existsSync(join(outside, 'b.txt'))).toBe(false);
    expect(readFileSync(join(root, 'moved', 'b.txt'), 'utf8')).toBe('b');
    // Another process, such as ffmpeg, sees the same folder.
    expect(execFileSync('ls', [target.folder], { encoding: 'utf8' })).toBe('b.txt\n');
  });
});

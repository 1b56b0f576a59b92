/**
 * Files that a payload names, opened only below the folders that the registry entry allows (POP_READ_ROOTS,
 * POP_WRITE_ROOTS). Links and `..` are resolved first. Then the way down from the root is walked folder by folder
 * without following any link, and what is opened is what is used, so that a link that appears between check and use
 * leads nowhere. Linux names an open file or folder in /proc, for us and for the programs we start; elsewhere its
 * resolved path has to do. No `using` here: handlers run on Node 22 as well.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fail } from './handler-failure.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** An open file to read. */
export interface Source extends Disposable {
  /** As the payload names it. */
  readonly asked: string;
  /** Where this process and its children read it until it is disposed of; absolute. */
  readonly path: string;
}

/** A place for a file or folder that is to be written. */
export interface Target extends Disposable {
  /** As the payload names it. */
  readonly asked: string;
  /** The folder that holds it, where this process and its children reach it until it is disposed of; absolute. */
  readonly folder: string;
  /** Its name in the folder. */
  readonly name: string;
}

type Access = 'read' | 'write';

/** Opens a regular file below the registry's `readRoots`. `field` is the payload's, for the messages. */
export function openSource(asked: string, field: string): Source {
  const { root, names } = below(asked, resolved(checked(asked, field)), 'read', field);
  const name = names.pop() ?? fail(`${quoted(field, asked)}: it is a folder.`, { code: 'noFile' });
  const folder = walk(root, names, asked, 'read', field);
  try {
    return openFile(join(folder.path, name), asked);
  } catch (error) {
    throw refusalOf(error, asked, 'read', field);
  } finally {
    folder[Symbol.dispose]();
  }
}

/** Opens the folder for a target below the registry's `writeRoots`, and makes it where it is missing. */
export function openTarget(asked: string, field: string): Target {
  const path = resolve(checked(asked, field));
  if (basename(path) === '') refuse(asked, field, 'it names nothing in a folder');
  const { root, names } = below(asked, resolved(dirname(path)), 'write', field);
  const folder = walk(root, names, asked, 'write', field);
  return { asked, folder: folder.path, name: basename(path), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** As `openTarget` for a path that no payload names: nothing is checked, and its folder must be there. */
export function openOwnTarget(path: string): Target {
  const folder = openFolder(dirname(resolve(path)), 0);
  return { asked: path, folder: folder.path, name: basename(path), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** Opens a regular file that no payload names: nothing else is checked. */
export function openOwnSource(path: string, asked = path): Source {
  return openFile(resolve(path), asked);
}

/** Opens, and is no way around: a pipe would wait, a device or folder is no file. */
function openFile(path: string, asked: string): Source {
  const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fstatSync(descriptor).isFile()) {
    closeSync(descriptor);
    fail(`"${cut(asked)}" is not a regular file.`, { code: 'noFile' });
  }
  return { asked, path: pathOf(descriptor, path), [Symbol.dispose]: () => closeSync(descriptor) };
}

interface Folder extends Disposable {
  readonly path: string;
}

function openFolder(path: string, flags: number): Folder {
  const descriptor = openSync(path, O_RDONLY | O_DIRECTORY | flags);
  return { path: pathOf(descriptor, path), [Symbol.dispose]: () => closeSync(descriptor) };
}

function pathOf(descriptor: number, path: string): string {
  return process.platform === 'linux' ? `/proc/${process.pid}/fd/${descriptor}` : path;
}

/** Down from the root, without following a link; makes what is missing on the way to a target. */
function walk(root: string, names: readonly string[], asked: string, access: Access, field: string): Folder {
  try {
    let folder = openFolder(root, 0);
    for (const name of names) {
      const parent = folder;
      try {
        if (access === 'write') makeFolder(join(parent.path, name));
        folder = openFolder(join(parent.path, name), O_NOFOLLOW);
      } finally {
        parent[Symbol.dispose]();
      }
    }
    return folder;
  } catch (error) {
    throw refusalOf(error, asked, access, field);
  }
}

/** One level only: what does this for several follows links. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** The root that a resolved path lies in, and the names on the way down to it. Fails when it lies in none. */
function below(asked: string, path: string, access: Access, field: string): { root: string; names: string[] } {
  const setting = `${access}Roots`;
  const roots = JSON.parse(process.env[`POP_${access.toUpperCase()}_ROOTS`] ?? '[]') as string[];
  const verb = access === 'read' ? 'read' : 'written';
  if (roots.length === 0) {
    refuse(asked, field, `nothing may be ${verb}, because the registry entry of this type names no "${setting}"`);
  }
  const usable = roots.flatMap(existing);
  if (usable.length === 0)
    refuse(asked, field, `none of the folders that "${setting}" of the registry entry names can be used on this host`);
  for (const root of usable) {
    const way = relative(root, path);
    if (way !== '..' && !way.startsWith(`..${sep}`)) return { root, names: way === '' ? [] : way.split(sep) };
  }
  // Which folders these are is the operator's to know, and whether anything is outside of them, too.
  refuse(
    asked,
    field,
    `it is outside of the folders that this pool allows to be ${verb}, "${setting}" of the registry entry`,
  );
}

function existing(root: string): string[] {
  try {
    return [realpathSync.native(root)];
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'EACCES') return [];
    throw error;
  }
}

/** With links resolved as far as the path exists, and `..` before. */
function resolved(path: string): string {
  const rest: string[] = [];
  for (let there = resolve(path); ; there = dirname(there)) {
    try {
      return join(realpathSync.native(there), ...rest);
    } catch (error) {
      if (there === dirname(there)) throw error;
      rest.unshift(basename(there));
    }
  }
}

function checked(asked: string, field: string): string {
  return asked.includes('\0') ? refuse(asked.replaceAll('\0', '�'), field, 'a path holds no NUL character') : asked;
}

/** What the system says of a path that lies in a root. */
function refusalOf(error: unknown, asked: string, access: Access, field: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ELOOP')
    refuse(asked, field, 'its path holds a link that is not followed: it leads nowhere, or appeared meanwhile');
  if (isMissing(error))
    fail(`${quoted(field, asked)}: there is no such file or folder.`, { code: 'noFile', cause: error });
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  fail(`${quoted(field, asked)}: it cannot be ${access === 'read' ? 'read' : 'written'} (${code}).`, {
    code: 'noFile',
    cause: error,
  });
}

function refuse(asked: string, field: string, why: string): never {
  fail(`${quoted(field, asked)}: ${why}.`, { code: 'pathNotAllowed' });
}

function quoted(field: string, asked: string): string {
  return `"${field}" is "${cut(asked)}"`;
}

/** Messages are bounded; a path need not be. */
function cut(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

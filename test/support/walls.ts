/** The walls between rooms: the table of docs/architecture.md, and whether a tree of sources keeps to it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { type Import, importsOf } from './imports.ts';

/** A row of the table. Paths are folders (with a slash at the end) or files of the project. */
export interface Room {
  readonly path: string;
  /** Rooms, folders and files it may import; undefined: anything. */
  readonly mayImport: readonly string[] | undefined;
  /** Packages it may import; undefined: any. */
  readonly packages: readonly string[] | undefined;
}

/** Rooms whose files are the same on every machine and at every time: no built-in of Node either. */
export const pureRooms = ['agenda/', 'scheduling/', 'scheduling/simulator/', 'messages/', 'workflows/'];
/** What is not in a room: tests beside their sources, and settings of tools. */
const outside = /\.test\.ts$|\.config\.ts$|^scheduling\/properties\/|^launchers\/contract\.ts$/;
/** Of these folders others than their own room see some files only. */
export const doors: Readonly<Record<string, readonly string[]>> = {
  'db/admission/': ['admit-batch', 'admission-record', 'old-admissions', 'wake'].map(
    (name) => `db/admission/${name}.ts`,
  ),
};

/** Reads the table under "Rooms and walls". @throws when there is none, or a cell is empty */
export function readRooms(document: string): Room[] {
  const section = document.split('\n## ').find((text) => text.startsWith('Rooms and walls'));
  const rows = (section ?? '').split('\n').filter((line) => line.startsWith('| `'));
  if (rows.length === 0) throw new Error('there is no table under "Rooms and walls"');
  return rows.flatMap((row) => {
    const [, names = '', , mayImport = '', packages = ''] = row.split('|').map((cell) => cell.trim());
    return quotedIn(names).map((path) => ({
      path,
      mayImport: cellOf(row, mayImport),
      packages: cellOf(row, packages),
    }));
  });
}

const quotedIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');

function cellOf(row: string, cell: string): readonly string[] | undefined {
  if (cell === 'anything') return undefined;
  const quoted = quotedIn(cell);
  if (quoted.length === 0 && cell !== 'nothing') throw new Error(`a cell of the table says nothing: ${row}`);
  return quoted;
}

/** Every crossing in the tree: direct imports, of types too. Empty when all keep to the table. */
export function crossings(root: string, rooms: readonly Room[]): string[] {
  return sourcesIn(root).flatMap((file) => {
    if (outside.test(file)) return [];
    const room = roomOf(rooms, file);
    if (room === undefined) return [`${file} is in no room`];
    return importsIn(root, file).flatMap(({ specifier }) => {
      const fault = faultOf(rooms, room, file, specifier);
      return fault === undefined ? [] : [`${file} imports ${specifier}: ${fault}`];
    });
  });
}

/** Rows that may import one below them: arrows run in one direction only, so there is no circle. */
export function upwardCells(rooms: readonly Room[]): string[] {
  return rooms.flatMap(({ path, mayImport = [] }, index) => {
    const above = rooms.slice(0, index).map((room) => room.path);
    return mayImport
      .filter((target) => !above.some((room) => target.startsWith(room)) && roomOf(rooms, target)?.path !== path)
      .map((target) => `${path} may import ${target}, which is not above it`);
  });
}

function faultOf(rooms: readonly Room[], room: Room, file: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) {
    if (isBuiltin(specifier)) return pureRooms.includes(room.path) ? `${room.path} is pure` : undefined;
    const allowed = room.packages?.some((name) => specifier === name || specifier.startsWith(`${name}/`));
    return allowed === false ? `not a package of ${room.path}` : undefined;
  }
  const target = targetOf(file, specifier);
  if (room.mayImport === undefined || target === 'package.json') return undefined;
  const other = roomOf(rooms, target);
  if (other === room) return undefined;
  if (!room.mayImport.some((path) => target === path || (path.endsWith('/') && target.startsWith(path))))
    return `${room.path} may not import ${other?.path ?? 'what is in no room'}`;
  // A room inside another is not meant by the name of the other.
  if (other !== undefined && !room.mayImport.some((path) => path.startsWith(other.path) || other.path === path))
    return `${room.path} may not import ${other.path}`;
  const door = Object.entries(doors).find(([folder]) => target.startsWith(folder) && !folder.startsWith(room.path));
  return door === undefined || door[1].includes(target) ? undefined : `of ${door[0]} it may see ${door[1].join(', ')}`;
}

/** What a program loads. */
export interface Closure {
  /** Path of a file, or name of a package, with the chain of imports that leads there. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
}

/** Follows the imports that run, from a program on. With `dynamic: false` only what is loaded at its start. */
export function closureOf(root: string, program: string, { dynamic = true } = {}): Closure {
  const chains = new Map<string, readonly string[]>([[program, [program]]]);
  const pending = [program];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    const chain = chains.get(file) ?? [];
    for (const { specifier, kind } of importsIn(root, file)) {
      if (kind === 'type' || (kind === 'dynamic' && !dynamic)) continue;
      const target = specifier.startsWith('.') ? targetOf(file, specifier) : specifier;
      if (isBuiltin(target) || chains.has(target)) continue;
      chains.set(target, [...chain, target]);
      if (/\.(ts|mjs)$/.test(target) && specifier.startsWith('.')) pending.push(target);
    }
  }
  return { chains };
}

/** The chains that lead to what is not to be reached: folders, files or packages. */
export function reached({ chains }: Closure, forbidden: readonly string[]): string[] {
  return [...chains]
    .filter(([target]) => forbidden.some((name) => isWithin(target, name)))
    .map(([, chain]) => chain.join(' → '));
}

/** All that is loaded and not within these. */
export function reachedBeyond({ chains }: Closure, allowed: readonly string[]): string[] {
  return [...chains]
    .filter(([target]) => !allowed.some((name) => isWithin(target, name)))
    .map(([, chain]) => chain.join(' → '));
}

const isWithin = (target: string, name: string): boolean =>
  target === name || target.startsWith(name.endsWith('/') ? name : `${name}/`);

/** The room with the longest path that holds the file. */
function roomOf(rooms: readonly Room[], file: string): Room | undefined {
  const holding = rooms.filter(({ path }) => file === path || (path.endsWith('/') && file.startsWith(path)));
  return holding.sort((a, b) => b.path.length - a.path.length)[0];
}

const targetOf = (file: string, specifier: string): string => normalize(join(dirname(file), specifier));

function importsIn(root: string, file: string): readonly Import[] {
  const path = join(root, file);
  // Fixtures name files that are not there.
  return existsSync(path) && /\.(ts|mjs)$/.test(file) ? importsOf(readFileSync(path, 'utf8')) : [];
}

/** TypeScript files of the tree, but those that were installed or made. */
function sourcesIn(root: string): string[] {
  return readdirSync(root, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || ['node_modules', 'coverage', 'dist'].includes(entry.name)) return [];
    if (entry.isFile()) return entry.name.endsWith('.ts') ? [entry.name] : [];
    return (readdirSync(join(root, entry.name), { recursive: true }) as string[])
      .filter((path) => path.endsWith('.ts') && !path.includes('node_modules'))
      .map((path) => `${entry.name}/${path}`);
  });
}

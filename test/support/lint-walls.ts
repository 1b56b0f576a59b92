/**
 * The walls as rules of Biome, made from the table: what one sees while typing. `npm run lint:walls` writes them into
 * biome.json.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { doors, pureRooms, type Room, readRooms } from './walls.ts';

const rule = 'noRestrictedImports';
const message = 'A wall between rooms: the table of docs/architecture.md says what this room may import.';

/** An override of biome.json. */
export interface LintOverride {
  readonly includes: readonly string[];
  readonly linter: { readonly rules: { readonly style: Readonly<Record<string, unknown>> } };
}

/** One override for each room that has walls, in the order of the table: the last that fits a file counts. */
export function lintOverrides(rooms: readonly Room[]): LintOverride[] {
  return rooms.flatMap((room) => {
    if (room.mayImport === undefined) return [];
    const group = [...allButPackages(room), ...forbiddenRooms(rooms, room, room.mayImport)];
    const options = { patterns: [{ group, message }] };
    return [
      {
        includes: [room.path.endsWith('/') ? `${room.path}**` : room.path, '!**/*.test.ts', ...exempt(room)],
        linter: { rules: { style: { [rule]: { level: 'error', options } } } },
      },
    ];
  });
}

/** Sources in a room that are tests by nature. */
function exempt({ path }: Room): string[] {
  if (path === 'scheduling/') return ['!scheduling/properties/**'];
  return path === 'launchers/' ? ['!launchers/contract.ts'] : [];
}

/**
 * Patterns as of .gitignore: what comes later wins. Paths in imports are relative, so a folder is known by its name
 * alone.
 */
function forbiddenRooms(rooms: readonly Room[], room: Room, mayImport: readonly string[]): string[] {
  const others = rooms.filter(({ path }) => path.endsWith('/') && !isAround(path, room.path));
  const closed = others.filter(({ path }) => !mayImport.includes(path)).map(({ path }) => folderOf(path, room.path));
  const opened = mayImport.filter((path) => !others.some((other) => other.path === path));
  const inside = Object.entries(doors).flatMap(([folder, files]) =>
    mayImport.some((path) => folder.startsWith(path)) ? [`**/${folder}**`, ...files.map((file) => `!**/${file}`)] : [],
  );
  return [
    `**/{${closed.join(',')}}/**`,
    ...opened.map((path) => `!**/${path.endsWith('/') ? `${path}**` : path}`),
    ...inside,
  ];
}

const isAround = (path: string, other: string): boolean => other.startsWith(path);

/** Its folder in an import: from beside it, or from the folder that holds it, only the last name is seen. */
function folderOf(path: string, from: string): string {
  const parent = path.split('/').slice(0, -2).join('/');
  const folder = path.slice(0, -1);
  return parent !== '' && from.startsWith(`${parent}/`) ? folder.slice(parent.length + 1) : folder;
}

/** Nothing but relative paths, Node and the room's own packages. */
function allButPackages({ path, packages = [] }: Room): string[] {
  const node = pureRooms.includes(path) ? [] : ['node:*'];
  return ['**', '!./**', '!../**', ...[...node, ...packages].flatMap((name) => [`!${name}`, `!${name}/**`])];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const file = join(root, 'biome.json');
  const settings = JSON.parse(readFileSync(file, 'utf8')) as { overrides: LintOverride[] };
  const others = settings.overrides.filter((override) => !(rule in override.linter.rules.style));
  const rooms = readRooms(readFileSync(join(root, 'docs/architecture.md'), 'utf8'));
  writeFileSync(file, JSON.stringify({ ...settings, overrides: [...others, ...lintOverrides(rooms)] }));
}

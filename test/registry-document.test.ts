/** docs/registry.md names every field of the registry where it belongs, no other, and its examples are registries. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseRegistry, registryFields } from '../launchers/registry.ts';

const document = readFileSync(fileURLToPath(new URL('../docs/registry.md', import.meta.url)), 'utf8');
const fields = registryFields();

/** Rows of the tables of fields, by the heading above them: name to the whole row. */
const tables = new Map<string, Map<string, string>>();
for (const section of document.split(/^##+ /m)) {
  const heading = section.slice(0, section.indexOf('\n'));
  const [, table] = /\n\| field [^\n]*\n\|[^\n]*\n((?:\|[^\n]*\n?)+)/.exec(section) ?? [];
  if (table === undefined) continue;
  const rows = table
    .trim()
    .split('\n')
    .map((row) => [/^\| `(\w+)`/.exec(row)?.[1] ?? row, row] as const);
  tables.set(heading, new Map(rows));
}

const headings: Readonly<Record<string, readonly string[]>> = {
  'Every type': ['docker', 'inProcess', 'kubernetes', 'local'],
  'Processes and containers': ['docker', 'kubernetes', 'local'],
  Functions: ['inProcess'],
  Containers: ['docker', 'kubernetes'],
  'Containers of the host': ['docker'],
  Pods: ['kubernetes'],
  'Names of POP that do nothing': [],
};

describe('docs/registry.md', () => {
  test('has a table for each group of launches, and no other', () => {
    expect([...tables.keys()].sort()).toEqual(Object.keys(headings).sort());
  });

  test.each(Object.entries(headings))('under "%s" are the fields that these launchers read', (heading, launches) => {
    const wanted = fields.filter((field) => [...field.launches].sort().join() === launches.join());
    expect(wanted.length).toBeGreaterThan(0);
    expect([...(tables.get(heading)?.keys() ?? [])].sort()).toEqual(wanted.map(({ name }) => name).sort());
  });

  test('names what is within a field, in its row', () => {
    const rows = new Map([...tables.values()].flatMap((table) => [...table]));
    const missing = fields.flatMap(({ name, inner }) =>
      inner
        .filter((each) => !new RegExp(`\\b${each}\\b`).test(rows.get(name) ?? ''))
        .map((each) => `${name}: ${each} is not named`),
    );
    expect(fields.flatMap(({ inner }) => inner).length).toBeGreaterThan(20);
    expect(missing).toEqual([]);
  });

  const examples = [...document.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => text);

  test.each(examples)('its example is a registry without a warning: %s', (text) => {
    const registry = parseRegistry(text, '/etc/pop/registry.json');
    expect(registry.types.size).toBeGreaterThan(0);
    expect(registry.warnings).toEqual([]);
  });

  test('has an example for each launch', () => {
    const launches = examples.flatMap((text) => [...parseRegistry(text, '/registry.json').types.values()]);
    expect(new Set(launches.map(({ launch }) => launch))).toEqual(
      new Set(['local', 'inProcess', 'docker', 'kubernetes']),
    );
  });
});

/**
 * Every raw statement of db/ begins with its name, as Postgres, slow-query logs and the fault tests show it: `/*
 * family: what *\/`.
 *
 * A template is a statement when its text begins with a verb of SQL. A fragment begins with something else: a column, a
 * parenthesis around a subquery, or the name of the paragraph (`waiting as (…`) it is in a longer statement. So a
 * fragment is never taken for a statement, and a statement without its name is found.
 */
import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { expect, test } from 'vitest';

const name = /^\s*\/\* [a-zA-Z]+: [\w ]+ \*\/\s/;
const verb = /^\s*(select|insert|update|delete|with|truncate|lock|merge)\b/i;

/** The text at which each template of a tag `sql`, `tag`, `client` or `$client` begins, with its line. */
function templatesOf(source: string): { readonly line: number; readonly text: string }[] {
  const tags = /(?<![\w'"])(?:sql|drizzleSql|tag|client|\$client)(?:<[^`;]*?>)?`/g;
  return [...source.matchAll(tags)].map((match) => {
    const begin = match.index + match[0].length;
    return { line: source.slice(0, begin).split('\n').length, text: source.slice(begin, begin + 200) };
  });
}

const isUnnamed = (text: string): boolean => verb.test(text) || (/^\s*(\/\*|--)/.test(text) && !name.test(text));

test('each statement of db/ begins with its name', async () => {
  const unnamed: string[] = [];
  let named = 0;
  for await (const file of glob('db/**/*.ts')) {
    if (file.endsWith('.test.ts')) continue;
    for (const { line, text } of templatesOf(readFileSync(file, 'utf8'))) {
      if (name.test(text)) named += 1;
      else if (isUnnamed(text)) unnamed.push(`${file}:${line} ${text.trim().slice(0, 60)}`);
    }
  }
  expect(unnamed).toEqual([]);
  expect(named).toBeGreaterThan(80);
});

test.each([
  ['a statement', 'const a = sql`\n  select 1`', true],
  ['a statement with types', 'await sql<{ a: Map<string, string[]> }[]>`\n  delete from a`', true],
  ['one of the client', 'await database.$client`update a set b = 1`', true],
  ['another comment', 'sql`/* a note */ select 1`', true],
  ['a named one', 'sql`\n  /* family: what it does */\n  select 1`', false],
  ['a subquery', 'sql`(select 1)`', false],
  ['a paragraph', 'sql`\n  chosen as (select 1)`', false],
])('of %s it is known whether its name is missing', (_, source, missing) => {
  expect(templatesOf(source).map(({ text }) => isUnnamed(text))).toEqual([missing]);
});

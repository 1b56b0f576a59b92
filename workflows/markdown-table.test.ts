import { expect, test } from 'vitest';
import { tableHead, tableRow } from './markdown-table.ts';

/**
 * Cells of a line as a reader of Markdown takes it: a bar ends a cell unless an odd number of backslashes stands before
 * it.
 */
const cellsOf = (line: string): number => (line.replaceAll(/\\./g, '').match(/\|/g)?.length ?? 0) - 1;

test('a table has its titles and a rule below them', () => {
  expect(tableHead('customer', 'weight')).toEqual(['| customer | weight |', '|---|---|']);
});

test('numbers are brief, what is absent is empty', () => {
  expect(tableRow('acme', 1 / 3, undefined, 2)).toBe('| acme | 0.333 |  | 2 |');
});

test.each([
  'a|b',
  'a\\',
  'a\\|b',
  '\\\\|',
  'two\nlines',
  'two\u2028lines',
  `${'x'.repeat(98)}\\|`,
  `${'x'.repeat(98)}😀x`,
])('the text %j stays in its cell', (text) => {
  const line = tableRow(text, 'next');
  expect(cellsOf(line)).toBe(2);
  expect(line).not.toMatch(/[\n\r\u2028]/);
  expect(line.isWellFormed()).toBe(true);
  expect(line.endsWith(' | next |')).toBe(true);
});

test('a long text is cut', () => {
  expect(tableRow('x'.repeat(500))).toBe(`| ${'x'.repeat(99)}… |`);
});

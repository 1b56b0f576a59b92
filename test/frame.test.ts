/**
 * Rules of CONTRIBUTING.md that no linter checks: lines of at most 120 columns, a documented export, and functions of
 * at most 80 lines.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from '@swc/core';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const mostColumns = 120;
const mostLines = 80;

/** Folders that nobody edits by hand: generated files, and copies of code that was released as it is. */
const notEdited = ['db/migrations/', 'test/history/'];

/** A line that breaks a rule, such as `db/list.ts:12`, with the line itself. */
type Check = (source: string) => { readonly line: number; readonly text: string }[];

const findLongLines: Check = (source) =>
  source
    .split('\n')
    .map((text, index) => ({ line: index + 1, text }))
    .filter(({ text }) => [...text].length > mostColumns);

const declaration = /^export (?:(?:abstract|async|declare) )*(?:class|const|function\*?|interface|let|type) (\w+)/;

const findUndocumented: Check = (source) => {
  const lines = source.split('\n');
  return lines.flatMap((text, index) => {
    const name = declaration.exec(text)?.[1];
    return name === undefined || hasDocumentation(lines, index, name) ? [] : [{ line: index + 1, text }];
  });
};

/** Looks at the lines above a declaration; the later ones of an overloaded function need no sentence of their own. */
function hasDocumentation(lines: readonly string[], index: number, name: string): boolean {
  const above = lines.slice(0, index).filter((line) => !line.startsWith('// biome-ignore'));
  if (!above.at(-1)?.trimEnd().endsWith('*/')) return above.some((line) => line.startsWith(`export function ${name}(`));
  const begin = above.findLast((line) => line.trimStart().startsWith('/*'));
  return begin?.trimStart().startsWith('/**') === true;
}

const functions: ReadonlySet<unknown> = new Set([
  ...['ArrowFunctionExpression', 'FunctionDeclaration', 'FunctionExpression', 'MethodProperty'],
  ...['ClassMethod', 'Constructor', 'GetterProperty', 'PrivateMethod', 'SetterProperty'],
]);

/** A node of a syntax tree; `start` and `end` count bytes from 1. */
interface SyntaxNode {
  readonly type?: unknown;
  readonly span?: { readonly start: number; readonly end: number };
}

/** Where tests are, a block of them is as long as its cases: such files pass. */
const findLongFunctions: Check = (source) => {
  if (source.includes("from 'vitest'")) return [];
  const bytes = Buffer.from(source);
  const lineOf = (position: number) => bytes.toString('utf8', 0, position - 1).split('\n').length;
  const found: ReturnType<Check> = [];
  const visit = (node: SyntaxNode): void => {
    if (functions.has(node.type) && node.span !== undefined) {
      const [line, last] = [lineOf(node.span.start), lineOf(node.span.end)];
      if (last - line >= mostLines) found.push({ line, text: source.split('\n')[line - 1] ?? '' });
    }
    for (const child of Object.values(node)) if (typeof child === 'object' && child !== null) visit(child);
  };
  visit(parseSync(source, { syntax: 'typescript', target: 'es2022' }));
  return found;
};

/** Applies a check to every source file, new ones too; answers `file:line: text` of each line that breaks the rule. */
function offenders(check: Check): string[] {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '--', '*.ts', '*.mjs'];
  return execFileSync('git', list, { cwd: root, encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter((file) => !notEdited.some((folder) => file.startsWith(folder)))
    .filter((file) => existsSync(join(root, file)))
    .flatMap((file) =>
      check(readFileSync(join(root, file), 'utf8')).map(({ line, text }) => `${file}:${line}: ${text.trim()}`),
    );
}

describe('the project', () => {
  test(`has no line of more than ${mostColumns} columns`, () => {
    expect(offenders(findLongLines)).toEqual([]);
  });

  test('has a documentation comment directly above every export', () => {
    expect(offenders(findUndocumented)).toEqual([]);
  });

  test(`has no function of more than ${mostLines} lines`, () => {
    expect(offenders(findLongFunctions)).toEqual([]);
  });
});

describe('the checks', () => {
  test('find a line that is one column too long, and count characters, not bytes', () => {
    const [fits, exceeds] = ['─'.repeat(mostColumns), 'x'.repeat(mostColumns + 1)];
    expect(findLongLines(`${fits}\n${exceeds}\n`)).toEqual([{ line: 2, text: exceeds }]);
  });

  test('find exports of every kind that have no comment, one apart from them, or one that is no documentation', () => {
    const source = [
      'export const one = 1;',
      '// A remark.',
      'export async function two() {}',
      '/* No documentation. */',
      'export abstract class Three {}',
      '/** Of something else. */',
      '',
      'export interface Four {}',
      'export type Five = string;',
    ].join('\n');
    expect(findUndocumented(source).map(({ line }) => line)).toEqual([1, 3, 5, 8, 9]);
  });

  test('find a function that is one line too long, of every kind, and no file that holds tests', () => {
    const lines = (count: number) => '  // ─\n'.repeat(count);
    const [fits, exceeds] = [lines(mostLines - 2), lines(mostLines - 1)];
    const found = (source: string) => findLongFunctions(source).map(({ line }) => line);
    expect(found(`#!/usr/bin/env node\n// é\nfunction one() {\n${fits}}\n\nfunction two() {\n${exceeds}}\n`)).toEqual([
      mostLines + 4,
    ]);
    for (const source of [
      `export const a =\nasync () => {\n${exceeds}};`,
      `export const a =\nfunction* () {\n${exceeds}};`,
      `export const a = {\nb() {\n${exceeds}} };`,
      `export const a = {\nget b() {\n${exceeds}} };`,
      `export class A {\nconstructor() {\n${exceeds}} }`,
      `export class A {\n#b() {\n${exceeds}} }`,
      `export class A {\nstatic async b(): Promise<void> {\n${exceeds}} }`,
    ])
      expect([source, ...found(source)]).toEqual([source, 2]);
    expect(found(`import { test } from 'vitest';\ntest('a', () => {\n${exceeds}});`)).toEqual([]);
  });

  test('accept a comment of one line, of several, before an ignored rule, and of an overloaded function', () => {
    const source = [
      '/** One line. */',
      'export const one = 1;',
      '/**',
      ' * Several lines.',
      ' */',
      '// biome-ignore lint/style/noEnum: an example',
      'export class Two {}',
      '/** Overloaded. */',
      'export function three(a: string): void;',
      'export function three(a: number): void;',
      "export { four } from './four.ts';",
    ].join('\n');
    expect(findUndocumented(source)).toEqual([]);
  });
});

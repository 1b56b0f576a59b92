/** The table of settings in docs/operations.md has every setting that a program reads, and no other. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Rooms whose code reads settings of a program that an operator starts. */
const rooms = ['activities', 'api', 'cli', 'db', 'k8s', 'launchers', 'machine', 'process', 'temporal', 'workers'];
/** Of the machine, of Kubernetes, or set by one part for another: nothing that an operator sets. */
const inner = new Set(['PATH', 'LANG', 'KUBERNETES_SERVICE_HOST', 'POP_PARENT']);

/** Names in code: `process.env.NAME`, `environment.NAME`, and the name that a reader of a setting is called with. */
const readers = ['optional', 'required', 'requiredSecret', 'secret', 'port', 'positiveNumber', 'wholeNumber', 'urlOf'];
const reads = new RegExp(
  `\\b(?:env|environment)\\.([A-Z][A-Z_]+)\\b|\\b(?:${readers.join('|')})\\(\\s*'([A-Z][A-Z_]+)'`,
  'g',
);

function sources(): string[] {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...rooms], {
    cwd: root,
    encoding: 'utf8',
  });
  return files
    .split('\n')
    .filter((file) => /\.ts$/.test(file) && !/\.test\.ts$/.test(file))
    .map(source);
}

const section =
  source('docs/operations.md')
    .split('\n## ')
    .find((text) => text.startsWith('Settings')) ?? '';
const told = section
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name = '']) => name));

test('every setting that a program reads is in the table', () => {
  const read = sources().flatMap((text) => [...text.matchAll(reads)].map(([, plain, called]) => plain ?? called ?? ''));
  expect(new Set(read).size).toBeGreaterThan(40);
  expect([...new Set(read)].filter((name) => !inner.has(name) && !told.includes(name))).toEqual([]);
});

test('no setting is in the table twice, or that nothing knows', () => {
  expect(told.filter((name, index) => told.indexOf(name) !== index)).toEqual([]);
  const all = sources().join('\n');
  // Of a secret the code names the variable alone, and its file is the same name with _FILE.
  const isKnown = (name: string) => all.includes(`'${name.replace(/_FILE$/, '')}'`) || all.includes(`.${name}`);
  expect(told.filter((name) => !isKnown(name))).toEqual([]);
});

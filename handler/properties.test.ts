import { expect, test } from 'vitest';
import { parseProperties } from './properties.ts';

test('names and values as Java reads them: every separator, escapes, comments, lines that go on', () => {
  const text = [
    '# a comment',
    '  ! another',
    '',
    'equals=one',
    'colon : two ',
    'blank three words',
    'alone',
    'long = first, \\',
    '       second',
    'path=C:\\\\folder\\tend',
    'umlaut=\\u00fc\\u20AC',
    'with\\ blank\\=sign=x=y',
    'ends\\\\\\\\=z',
    'equals=last',
    '__proto__=kept',
  ].join('\r\n');
  const found = parseProperties(text);
  expect(found).toEqual(
    Object.assign(Object.create(null), {
      equals: 'last',
      colon: 'two ',
      blank: 'three words',
      alone: '',
      long: 'first, second',
      path: 'C:\\folder\tend',
      umlaut: 'ü€',
      'with blank=sign': 'x=y',
      'ends\\\\': 'z',
      ['__proto__']: 'kept',
    }),
  );
});

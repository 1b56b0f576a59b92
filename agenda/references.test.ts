import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findReferences, knownWhole, replaceReferences } from './references.ts';
import { resolvedBytes } from './resolved-bytes.ts';
import type { Json, JsonObject } from './types.ts';

const known = {
  'mediainfo.1.out': { mediaProperties: { width: 720, height: 480 } },
  'analysis.1.out': {
    operations: [
      { id: 'encode', payload: { setting: 'value' } },
      { id: 'package', payload: { setting: 'value' } },
    ],
  },
  basicString: 'a value',
  theNumber: 42,
  'a.out': {
    s: 'v',
    n: 42,
    f: 1.5,
    t: true,
    z: null,
    o: { k: 1 },
    l: [1, 2],
    'we/ird': 'w',
    '': 'blank',
    '~1': 'tilde',
  },
} as const;
/** A lookup over plain data; what an object inherits (`constructor`) is not found. */
const lookupIn = (values: JsonObject) => (name: string) =>
  Object.hasOwn(values, name) ? knownWhole(values[name] as Json) : undefined;
const replace = (value: Json) => replaceReferences(value, lookupIn(known));

describe('values the original system gives, its defects mended', () => {
  const [first, second] = known['analysis.1.out'].operations;
  test.each<[Json, Json]>([
    ['@<mediainfo.1.out::/>', known['mediainfo.1.out']],
    ['@<mediainfo.1.out::/mediaProperties/width>', 720],
    [
      ['@<analysis.1.out::/operations/1>', '@<analysis.1.out::/operations/0>'],
      [second, first],
    ],
    ['@<analysis.1.out::/operations/0/id>', 'encode'],
    ['@<basicString>', 'a value'],
    ['@<theNumber>', 42],
    ['x@<basicString>y', 'xa valuey'],
    ['x@<a.out::/s>@<a.out::/n>y', 'xv42y'],
    ['@<a.out::/s>@<a.out::/n>', 'v42'],
    ['@<a.out::/s> and @<a.out::/n>', 'v and 42'],
    ['@<a.out::/t>', true],
    ['is @<a.out::/t>', 'is true'],
    ['is @<a.out::/z>', 'is null'],
    ['@<a.out::/z>', null],
    ['@<a.out::/o>', { k: 1 }],
    ['@<a.out::/f>', 1.5],
    ['@<a.out::/l/1>', 2],
    ['@<a.out::/nope?dflt>', 'dflt'],
    ['@<a.out::/nope?12>', '12'],
    ['@<a.out::/nope?>', null],
    ['x @<a.out::/nope?dflt> y', 'x dflt y'],
    ['@<basicString?zz>', 'a value'],
    ['@<a.out::/we~1ird>', 'w'],
    ['@<a.out::s>', 'v'],
    [{ '@<basicString>': 1 }, { '@<basicString>': 1 }],
    ['@<a.out>', known['a.out']],
    ['@<>', '@<>'],
    ['price @< 5', 'price @< 5'],
  ])('%j becomes %j', (value, expected) => {
    expect(replace(value)).toEqual({ value: expected, missing: [], invalid: [] });
  });

  test.each(['x@<a.out::/o>', '@<a.out::/nope>'])('%j stays and is an invalid reference', (value) => {
    const { invalid, ...rest } = replace({ deep: [value] });
    expect(rest).toEqual({ value: { deep: [value] }, missing: [] });
    expect(invalid).toEqual([
      {
        token: value.replace(/^x/, ''),
        path: '/deep/0',
        reason: value.startsWith('x') ? 'containerInText' : 'pathAbsent',
      },
    ]);
  });

  test('a fallback does not help an unknown name', () => {
    expect(replace('@<b.out::/nope?dflt>')).toEqual({ value: '@<b.out::/nope?dflt>', missing: ['b.out'], invalid: [] });
  });

  test('only the references change in nested lists, under names without .out', () => {
    const names = { 'encode.1': { url: 'http://h/x', sizes: [480, 720] }, 'analysis.1': { ok: true } };
    const value = {
      list: [['plain', 7, '@<encode.1::/url>', ['@<encode.1::/sizes>', null]], 'a @<encode.1::/sizes/0> b', false],
      analysis: '@<analysis.1>',
    };
    expect(replaceReferences(value, lookupIn(names))).toEqual({
      value: { list: [['plain', 7, 'http://h/x', [[480, 720], null]], 'a 480 b', false], analysis: { ok: true } },
      missing: [],
      invalid: [],
    });
  });
});

describe('tokens', () => {
  test('are found with their parts and places, in reading order', () => {
    expect(findReferences({ 'a/b': ['@<a.out::/x?no>'], c: 'see @<b.out> or @<c?>' })).toEqual([
      { token: '@<a.out::/x?no>', name: 'a.out', pointer: '/x', fallback: 'no', path: '/a~1b/0', whole: true },
      { token: '@<b.out>', name: 'b.out', path: '/c', whole: false },
      { token: '@<c?>', name: 'c', fallback: null, path: '/c', whole: false },
    ]);
  });

  test.each<[string, Json]>([
    ['@<a.out::>', known['a.out']],
    ['@<a.out::/z?dflt>', null],
    ['@<a.out::/s/x?dflt>', 'dflt'],
    ['@<a.out::/l/01?dflt>', 'dflt'],
    ['@<a.out::/l/-?dflt>', 'dflt'],
    ['@<a.out::/l/length?dflt>', 'dflt'],
    ['@<a.out::/constructor?dflt>', 'dflt'],
    ['@<a.out::/~01>', 'tilde'],
    ['@<a.out::/nope?what?>', 'what?'],
    ['@<a.out::/nope?a::b>', 'a::b'],
    ['@<@<basicString>', '@<a value'],
    ['1 @< 2, @<theNumber>', '1 @< 2, 42'],
    ['@<theNumber>>', '42>'],
    ['@<>@<theNumber>', '@<>42'],
    ['', ''],
  ])('%j becomes %j', (value, expected) => {
    expect(replace(value)).toEqual({ value: expected, missing: [], invalid: [] });
  });

  test('a name inherited by every object is not known', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      expect(replace(`@<${name}>`).missing).toEqual([name]);
  });

  test('a key __proto__ stays an ordinary key', () => {
    const value = JSON.parse('{"__proto__": {"polluted": "@<theNumber>"}, "x": 1}') as Json;
    const replaced = replace(value).value;
    expect(JSON.stringify(replaced)).toBe('{"__proto__":{"polluted":42},"x":1}');
    expect(Object.getPrototypeOf(replaced)).toBe(Object.prototype);
    expect('polluted' in {}).toBe(false);
  });

  test('what was put in is not looked at again', () => {
    const values = lookupIn({ a: '@<b>', b: 'never', c: { d: '@<b>' } });
    expect(replaceReferences(['@<a>', 'x @<a>', '@<c>'], values)).toEqual({
      value: ['@<b>', 'x @<b>', { d: '@<b>' }],
      missing: [],
      invalid: [],
    });
  });

  test('each missing name is told once', () => {
    expect(replace(['@<q.out>', 'x @<q.out::/a> @<r>']).missing).toEqual(['q.out', 'r']);
  });

  test('nesting over the limit is a fault and no overflow', () => {
    const nest = (depth: number): Json => {
      let value: Json = '@<theNumber>';
      for (let level = 0; level < depth; level++) value = [value];
      return value;
    };
    expect(replace(nest(32)).invalid).toEqual([]);
    expect(JSON.stringify(replace(nest(32)).value)).toContain('42');
    expect(replace(nest(33)).invalid).toEqual([{ token: '', path: '/0'.repeat(32), reason: 'tooDeep' }]);
    expect(replace(nest(100_000)).invalid).toHaveLength(1);
    expect(findReferences(nest(100_000))).toEqual([]);
  });

  test('a text of a million openings is read in passing', () => {
    // Quadratic scanning would take minutes here and fail by the test's own limit.
    const openings = '@<'.repeat(500_000);
    expect(replace(openings).value).toBe(openings);
    expect(replace(`${openings}theNumber>`).value).toBe(`${'@<'.repeat(499_999)}42`);
    expect(replace('@<x>'.repeat(250_000)).missing).toEqual(['x']);
    expect(replace('@<>'.repeat(300_000)).missing).toEqual([]);
  });

  test('any text without a token stays as it is, and text around tokens survives', () => {
    fc.assert(
      fc.property(fc.array(fc.string().filter((part) => !/[@<>]/.test(part))), (parts) => {
        const replaced = replace(`${parts.join('@<theNumber>')}.`).value;
        expect(replaced).toBe(`${parts.join('42')}.`);
      }),
    );
  });

  test('any JSON without tokens comes back equal', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const json = value as Json;
        fc.pre(!JSON.stringify(json).includes('@<'));
        expect(JSON.stringify(replace(json).value)).toBe(JSON.stringify(json));
      }),
    );
  });
});

test('the resolved size is foretold to the byte', () => {
  const token = fc.constantFrom(
    '@<a.out>',
    '@<a.out::/o>',
    '@<a.out::/s>',
    '@<a.out::/z>',
    '@<a.out::/n?x>',
    '@<a.out::/q?ü"\n>',
    '@<a.out::/q?>',
    '@<a.out::/q>',
    '@<b>',
    '@<t>',
  );
  const text = fc.array(fc.oneof(token, fc.string({ unit: 'binary' }))).map((parts) => parts.join(''));
  const lookup = lookupIn({ 'a.out': known['a.out'], t: 'quote " é 😀 \u0001' });
  fc.assert(
    fc.property(fc.array(fc.oneof(token, text, fc.dictionary(fc.string(), text))), (value) => {
      const replaced = replaceReferences(value, lookup).value;
      expect(resolvedBytes(value, lookup).bytes).toBe(Buffer.byteLength(JSON.stringify(replaced)));
    }),
  );
  const large = lookupIn({ large: 'x'.repeat(1_000_000) });
  expect(resolvedBytes(Array(100_000).fill('@<large>'), large)).toEqual({
    bytes: 100_000 * 1_000_003 + 1,
    names: [{ name: 'large', bytes: 100_000 * 1_000_002 }],
  });
});

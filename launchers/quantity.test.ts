import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quantityOf } from './quantity.ts';

test.each([
  ['500m', 0.5],
  ['2', 2],
  ['1.5', 1.5],
  ['.5', 0.5],
  ['5.', 5],
  ['128Mi', 134_217_728],
  ['2G', 2_000_000_000],
  ['1Ki', 1_024],
  ['1k', 1_000],
  ['1e3', 1_000],
  ['1e+3', 1_000],
  ['1Ei', 2 ** 60],
  ['0', 0],
])('%s is a quantity', (text, number) => {
  expect(quantityOf(text)).toBe(number);
});

test.each([
  '',
  ' ',
  'm',
  '1K',
  '1 Gi',
  '1gi',
  '1mi',
  '-1',
  '+1',
  '1e3Mi',
  '1e',
  'e3',
  '1,5',
  '0x10',
  '1_000',
  'Infinity',
  '.',
])('"%s" is none', (text) => {
  expect(quantityOf(text)).toBeUndefined();
});

test('a suffix multiplies, and a larger number is a larger quantity', () => {
  const suffixes = {
    m: 0.001,
    '': 1,
    k: 1e3,
    Ki: 1024,
    M: 1e6,
    Mi: 1024 ** 2,
    G: 1e9,
    Gi: 1024 ** 3,
    T: 1e12,
    Ti: 1024 ** 4,
  };
  const suffix = fc.constantFrom(...Object.entries(suffixes));
  fc.assert(
    fc.property(fc.nat(1e6), fc.nat(1e6), suffix, (one, other, [unit, factor]) => {
      const [a = Number.NaN, b = Number.NaN] = [one, other].map((number) => quantityOf(`${number}${unit}`));
      expect(a).toBeCloseTo(one * factor, 6);
      expect(Math.sign(a - b)).toBe(Math.sign(one - other));
    }),
  );
});

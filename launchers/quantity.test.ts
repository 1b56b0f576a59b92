import { expect, test } from 'vitest';
import { parseQuantity } from './quantity.ts';

test.each([
  ['500m', 0.5],
  ['100m', 0.1],
  ['1.0', 1],
  ['.5', 0.5],
  ['2', 2],
  [3, 3],
  ['2Gi', 2_147_483_648],
  ['1.5Ki', 1536],
  ['64Mi', 67_108_864],
  ['2G', 2e9],
  ['10k', 10_000],
  ['1e3', 1_000],
  ['5E3', 5_000],
  ['1E', 1e18],
  ['250u', 0.00025],
  [' 4 ', 4],
  // In Kubernetes this is one: POP's samples meant megabytes.
  ['1000m', 1],
  ['-1', -1],
])('%s is %d', (given, amount) => {
  expect(parseQuantity(given)).toBeCloseTo(amount, 9);
});

test.each(['', 'two', '1 Gi', '2gi', '2GB', '1e', '0x10', '1,5', 'm', '1e999', Number.NaN, Number.POSITIVE_INFINITY])(
  '%s is no amount',
  (given) => {
    expect(parseQuantity(given)).toBeUndefined();
  },
);

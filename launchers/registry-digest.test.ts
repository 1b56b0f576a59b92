import { expect, test } from 'vitest';
import { digestOf } from './registry-digest.ts';

test('the same content in another order has the same digest, another content has another', () => {
  const digest = digestOf({ basePodConfig: { runSeconds: 1 }, a: { podConfig: { command: ['x', 'y'] } } });
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  expect(digestOf({ a: { podConfig: { command: ['x', 'y'] } }, basePodConfig: { runSeconds: 1 } })).toBe(digest);
  expect(digestOf({ a: { podConfig: { command: ['y', 'x'] } }, basePodConfig: { runSeconds: 1 } })).not.toBe(digest);
  expect(digestOf({ basePodConfig: { runSeconds: 2 }, a: { podConfig: { command: ['x', 'y'] } } })).not.toBe(digest);
});

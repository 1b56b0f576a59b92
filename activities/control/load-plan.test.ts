import { describe, expect, test } from 'vitest';
import { fairnessKeyOf } from './load-plan.ts';

describe("the key of a customer on its pool's queue", () => {
  test('is its id, where Temporal takes that', () => {
    expect(fairnessKeyOf('red')).toBe('red');
    expect(fairnessKeyOf('x'.repeat(64))).toBe('x'.repeat(64));
  });

  test('of a longer id is short, the same each time, and its own', () => {
    const long = `${'🦊'.repeat(40)}`;
    expect(Buffer.byteLength(fairnessKeyOf(long))).toBeLessThanOrEqual(64);
    expect(fairnessKeyOf(long)).toBe(fairnessKeyOf(long));
    expect(fairnessKeyOf(long)).not.toBe(fairnessKeyOf(`${long}1`));
    expect(fairnessKeyOf('y'.repeat(65))).toMatch(/^y{8}…/);
  });
});

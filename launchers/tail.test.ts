import { expect, test } from 'vitest';
import { Tail } from './tail.ts';

test('the end of what was written is kept, and no half of a character', () => {
  const tail = new Tail(5);
  for (const chunk of ['a long beginning', 'üü', 'end']) tail.add(Buffer.from(chunk));
  expect(tail.text()).toBe('üend');
  expect(tail.totalBytes).toBe(23);
  const cut = new Tail(4);
  for (const chunk of ['üü', 'end']) cut.add(Buffer.from(chunk));
  expect(cut.text()).toBe('end');
});

test('what no database takes is mended', () => {
  const tail = new Tail(100);
  tail.add(Buffer.from('a\0b\xff', 'latin1'));
  expect(tail.text()).toBe('a\u{fffd}b\u{fffd}');
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PositionHeap } from './position-heap.ts';

interface Numbered {
  key: number;
  position: number;
}

test('gives the smallest first whatever was added, moved and removed', () => {
  const step = fc.tuple(
    fc.constantFrom('add', 'add', 'add', 'move', 'remove', 'first'),
    fc.integer({ min: 0, max: 50 }),
    fc.nat(),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
      const heap = new PositionHeap<Numbered>((a, b) => a.key < b.key);
      const model: Numbered[] = [];
      for (const [kind, key, pick] of steps) {
        const one = model[pick % model.length];
        if (kind === 'add') {
          const added = { key, position: -1 };
          model.push(added);
          heap.add(added);
        } else if (one !== undefined && kind === 'move') {
          one.key = key;
          heap.moved(one);
        } else if (one !== undefined) {
          const gone = kind === 'first' ? (heap.first as Numbered) : one;
          model.splice(model.indexOf(gone), 1);
          heap.remove(gone);
          expect(gone.position).toBe(-1);
          heap.remove(gone);
        }
        expect(heap.size).toBe(model.length);
        expect(heap.first?.key).toBe(model.length === 0 ? undefined : Math.min(...model.map((element) => element.key)));
      }
    }),
  );
});

test('compares a logarithm of its elements per call', () => {
  let comparisons = 0;
  const heap = new PositionHeap<Numbered>((a, b) => {
    comparisons += 1;
    return a.key < b.key;
  });
  const count = 2 ** 14;
  const elements = Array.from({ length: count }, (_, index) => ({ key: (index * 7919) % count, position: -1 }));
  const most = (act: (element: Numbered) => void): number => {
    let largest = 0;
    for (const element of elements) {
      comparisons = 0;
      act(element);
      largest = Math.max(largest, comparisons);
    }
    return largest;
  };
  const bound = 2 * 14 + 4;
  expect(most((element) => heap.add(element))).toBeLessThanOrEqual(bound);
  expect(
    most((element) => {
      element.key = count - element.key;
      heap.moved(element);
    }),
  ).toBeLessThanOrEqual(bound);
  expect(most((element) => heap.remove(element))).toBeLessThanOrEqual(bound);
});

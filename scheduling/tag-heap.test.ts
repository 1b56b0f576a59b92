import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Registry, type Tagged, TagHeap } from './tag-heap.ts';

interface Entry extends Tagged {
  readonly high: number;
  readonly second: number;
}

test('gives the elements in one order, by tag, second number and id, whatever came, moved and went between', () => {
  const operation = fc.record({
    kind: fc.constantFrom('add', 'add', 'add', 'remove', 'move'),
    high: fc.integer({ min: 0, max: 3 }),
    second: fc.integer({ min: 0, max: 1 }),
    id: fc.constantFrom('a', 'b', 'abcdefgh1', 'abcdefgh2', 'é', 'ü', ''),
    pick: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), fc.nat({ max: 600 }), (operations, others) => {
      const registry = new Registry<Entry>();
      // Known, and in no heap.
      for (let number = 0; number < others; number++)
        registry.add('', (index) => ({ index, id: '', high: 0, second: 0 }));
      const heap = new TagHeap(registry);
      let entries: Entry[] = [];
      const tagOf = ({ high }: Entry) => ({ high, low: 0 });
      for (const [number, { kind, high, second, id, pick }] of operations.entries()) {
        const chosen = entries[pick % Math.max(1, entries.length)];
        if (kind === 'add') {
          const own = `${id}${number}`;
          const entry = registry.add(own, (index) => ({ index, id: own, high, second }));
          entries.push(entry);
          heap.put(entry, tagOf(entry), second);
        } else if (chosen !== undefined && kind === 'remove') {
          entries = entries.filter((one) => one !== chosen);
          heap.remove(chosen);
          registry.delete(chosen);
        } else if (chosen !== undefined) {
          Object.assign(chosen, { high, second });
          heap.put(chosen, tagOf(chosen), second);
        }
        const sorted = entries.toSorted((a, b) => a.high - b.high || a.second - b.second || (a.id < b.id ? -1 : 1));
        expect([...heap.inOrder()].map((one) => one.id)).toEqual(sorted.map((one) => one.id));
        expect(heap.first?.id).toBe(sorted[0]?.id);
      }
    }),
  );
});

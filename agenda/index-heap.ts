/** Adds `value` to a binary heap kept in a plain array, smallest first. */
export function pushIndex(heap: number[], value: number): void {
  let position = heap.length;
  heap.push(value);
  while (position > 0) {
    const parent = (position - 1) >> 1;
    const above = heap[parent] as number;
    if (above <= value) break;
    heap[position] = above;
    position = parent;
  }
  heap[position] = value;
}

/** Takes the smallest value, or undefined when there is none. */
export function popSmallest(heap: number[]): number | undefined {
  const smallest = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return smallest;
  let position = 0;
  for (;;) {
    let child = position * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child += 1;
    const below = heap[child] as number;
    if (below >= last) break;
    heap[position] = below;
    position = child;
  }
  heap[position] = last;
  return smallest;
}

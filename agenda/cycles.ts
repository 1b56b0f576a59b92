/**
 * The nodes that lie on a cycle, ascending: members of a strongly connected component of two or more, and nodes that
 * name themselves. Tarjan 1972, with its own stack instead of the call stack, so a chain may be as long as memory
 * allows. Time and space are linear in nodes + edges.
 */
export function nodesOnCycles(dependencies: readonly (readonly number[])[]): number[] {
  const count = dependencies.length;
  const order = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const nextEdge = new Int32Array(count);
  const onStack = new Uint8Array(count);
  const component: number[] = [];
  const path: number[] = [];
  const found: number[] = [];
  let visited = 0;

  const enter = (node: number): void => {
    order[node] = low[node] = visited++;
    onStack[node] = 1;
    component.push(node);
    path.push(node);
  };

  const lower = (node: number, value: number): void => {
    if (value < at(low, node)) low[node] = value;
  };

  /** Takes the finished component whose root is `root` from the stack. */
  const close = (root: number, selfNaming: boolean): void => {
    const onCycle = selfNaming || component.at(-1) !== root;
    let member: number | undefined;
    do {
      member = component.pop() as number;
      onStack[member] = 0;
      if (onCycle) found.push(member);
    } while (member !== root);
  };

  for (let start = 0; start < count; start++) {
    if (at(order, start) !== -1) continue;
    enter(start);
    while (path.length > 0) {
      const node = path.at(-1) as number;
      const edges = dependencies[node] ?? [];
      const edge = at(nextEdge, node);
      if (edge < edges.length) {
        nextEdge[node] = edge + 1;
        const target = edges[edge] as number;
        if (at(order, target) === -1) enter(target);
        else if (at(onStack, target) === 1) lower(node, at(order, target));
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) lower(parent, at(low, node));
      if (at(low, node) === at(order, node)) close(node, edges.includes(node));
    }
  }
  return found.sort((a, b) => a - b);
}

/** A typed array's element; every index used here lies inside. */
function at(array: Int32Array | Uint8Array, index: number): number {
  return array[index] as number;
}

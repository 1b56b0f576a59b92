/** Lists of a cluster, which come in pages. */
import type { KubernetesApi } from './kubernetes-api.ts';

const pageSize = 500;

interface Page<Item> {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly Item[];
}

/** What `pick` takes of all there are, page by page, so that no more of them is kept. */
export async function listAll<Item, Picked>(
  api: KubernetesApi,
  path: string,
  labelSelector: string,
  pick: (item: Item) => readonly Picked[],
): Promise<Picked[]> {
  const all: Picked[] = [];
  let next: string | undefined;
  do {
    const page: Page<Item> = await api.ask({ path, query: { labelSelector, limit: pageSize, continue: next } });
    all.push(...page.items.flatMap(pick));
    next = page.metadata.continue || undefined;
  } while (next !== undefined);
  return all;
}

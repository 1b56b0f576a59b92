/** What is to be said of a pool whose workers have different registries. */
import { quoted } from '../../agenda/cut.ts';
import type { PoolWorkerRow } from '../../db/pool/read-workers.ts';

/** Most types that are named. */
const mostNamed = 10;

type Worker = Pick<PoolWorkerRow, 'digest' | 'types'>;

/** A sentence for people; undefined when all registries say the same. */
export function registriesDiffer(workers: readonly Worker[]): string | undefined {
  // Of each registry one.
  const registries = [...new Map(workers.map((worker) => [worker.digest, worker.types])).values()];
  if (registries.length < 2) return undefined;
  const differ = `The ${workers.length} pool workers that are there have ${registries.length} different registries.`;
  const types = [...new Set(registries.flatMap((each) => Object.keys(each)))].sort();
  const notByAll = types.filter((type) => registries.some((each) => !Object.hasOwn(each, type)));
  if (notByAll.length === 0) return `${differ} All serve the same types, not in the same way.`;
  const named = notByAll.slice(0, mostNamed).map(quoted).join(', ');
  const more = notByAll.length > mostNamed ? ` and ${notByAll.length - mostNamed} more` : '';
  return `${differ} Not served by all: ${named}${more}.`;
}

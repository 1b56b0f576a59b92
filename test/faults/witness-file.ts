/** Reads what handlers of the fault tests say of themselves, a line each. No worker has a hand in it. */
import { existsSync, readFileSync } from 'node:fs';
import type { ProcessIdentity } from '../../launchers/local/run-files.ts';

/** One line of the witness file. Times are epoch milliseconds. */
export interface Witnessed {
  readonly what: 'start' | 'asked to end' | 'end';
  readonly agendaId: string;
  readonly operation: string;
  readonly launch: number;
  readonly self: ProcessIdentity;
  /** A process it left beside itself. */
  readonly child?: ProcessIdentity;
  readonly time: number;
}

/** All lines so far. */
export function readWitness(file: string): Witnessed[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Witnessed);
}

/** Lines of one kind per Operation, keyed `<agendaId> <operation>`. */
export function countPerOperation(lines: readonly Witnessed[], what: Witnessed['what']): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    if (line.what !== what) continue;
    const key = `${line.agendaId} ${line.operation}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

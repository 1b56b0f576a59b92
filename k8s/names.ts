/** Names of labels, annotations and the finalizer that mark the objects of POP in a cluster. */
import { createHash } from 'node:crypto';
import type { Fence } from '../messages/resource-pool.ts';

/** Labels; programs select by them. */
export const labels = {
  /** Which pool of which installation: a hash. */
  pool: 'pop.pool',
  key: 'pop.key',
  /** Which Operation in which attempt of its Agenda: a hash. */
  operationId: 'pop.operation-hash',
  /** Which Customer: a hash, on namespaces and Pods. */
  customerId: 'pop.customer-hash',
  /** Its end is acknowledged; it is kept for a while to be looked at, or about to be deleted. */
  done: 'pop.done',
} as const;

/** Annotations of ours. */
export const annotations = {
  /** JSON of the five that name the launch. */
  fence: 'pop.fence',
  /** JSON of why it is being stopped, so that whoever follows it next knows. */
  stop: 'pop.stop',
  /** Present: its end acknowledged, it stays for a while. */
  keep: 'pop.keep',
  /** The handler writes its OperationProgress here, */
  progress: 'pop.report.progress',
  /** and its result here. */
  payload: 'pop.report.payload',
} as const;

/** Keeps a Pod until its end is acknowledged. */
export const finalizer = 'pop.dev/end-not-acknowledged';

/** A short hash, fit for a label and a name. */
export function hashOf(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 20);
}

/** The hash that finds all launches of one Operation in one attempt of its Agenda. */
export const operationHash = ({ agendaId, attempt, operation }: Pick<Fence, 'agendaId' | 'attempt' | 'operation'>) =>
  hashOf(agendaId, attempt, operation);

/** The text as far as a label's value can say it, for people; programs use the hashes and annotations. */
export function labelValue(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9._-]+/g, '_')
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
}

/** The text as a part of a name, at most `most` characters: lower case letters, digits and `-`. */
export function slugOf(text: string, most: number): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, most)
    .replaceAll(/^-+|-+$/g, '');
}

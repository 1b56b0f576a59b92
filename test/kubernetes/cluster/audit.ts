import { readFile } from 'node:fs/promises';
import type { ClusterFacts } from './facts.ts';

/** One request, as the apiserver wrote it down; of a watch, its begin and its end are an event each. */
export interface AuditEvent {
  /** The same for all events of a request. */
  readonly auditID: string;
  readonly stage: 'ResponseStarted' | 'ResponseComplete' | 'Panic';
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
}

/**
 * What one user asked of the apiserver so far, in the order of the answers.
 * @throws when the cluster was started without `audit`.
 */
export async function readAudit({ auditLog }: ClusterFacts, username: string): Promise<AuditEvent[]> {
  if (auditLog === undefined) throw new Error('This cluster writes no audit log; start it with `audit: true`.');
  const text = await readFile(auditLog, 'utf8');
  // What follows the last line break is still being written.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(({ user }) => user.username === username);
}

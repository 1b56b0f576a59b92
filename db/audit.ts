/** The audit trail: who changed what, from what to what. Written in the transaction of the change itself. */
import type { JsonObject } from '../agenda/types.ts';
import type { Writer } from './connect.ts';
import { auditEntry } from './schema.ts';

/** One change of one object. */
export interface AuditEntry {
  /** Owner of the object. */
  readonly customerId: string;
  /** Who did it: a key's prefix, `system`, or a pool. */
  readonly actor: string;
  /** Such as `agenda.submit`, `insight.update`. */
  readonly action: string;
  readonly objectId: string;
  readonly cid: string;
  readonly before?: JsonObject;
  readonly after?: JsonObject;
}

/** Appends entries; call it inside the transaction that makes the change. */
export async function appendAudit(writer: Writer, ...entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await writer
    .insert(auditEntry)
    .values(entries.map((entry) => ({ ...entry, before: entry.before ?? null, after: entry.after ?? null })));
}

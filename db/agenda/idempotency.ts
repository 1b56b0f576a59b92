/** Answers that are kept so that a repeated POST with the same Idempotency-Key creates nothing twice. */
import type { Statements } from '../connect.ts';
import { type Refused, refused } from './submit-answer.ts';

/** Hours for which an answer is kept. */
export const idempotencyHours = 24;

/** What a caller names a request by. */
export interface IdempotencyKey {
  readonly key: string;
  /** SHA-256 of method, path and body, hex. */
  readonly requestHash: string;
}

/**
 * Looks for the answer to an earlier request of this key; a key in use right now is busy. Undefined: it is the first.
 */
export async function earlierAnswer(
  sql: Statements,
  customerId: string,
  idempotency: IdempotencyKey | undefined,
): Promise<{ readonly kind: 'replayed'; readonly agendaId: string } | Refused | undefined> {
  if (idempotency === undefined) return undefined;
  const { key, requestHash } = idempotency;
  // The lock is taken by a statement of its own, before the one that looks: whoever gets it sees what its former holder
  // wrote.
  const [[lock], [record]] = await Promise.all([
    sql<{ free: boolean }[]>`
      /* idempotency: lock key */
      select pg_try_advisory_xact_lock(hashtextextended(${key}, hashtextextended(${customerId}, 0))) as free`,
    sql<{ requestHash: string; agendaId: string; there: boolean }[]>`
      /* idempotency: earlier request */
      select
        r.request_hash as "requestHash",
        r.agenda_id as "agendaId",
        exists (select from agenda a where a.id = r.agenda_id) as there
      from idempotency r
      where r.customer_id = ${customerId} and r.key = ${key}
        and r.added_time > clock_timestamp() - make_interval(hours => ${idempotencyHours})`,
  ]);
  if (record === undefined) {
    return lock?.free
      ? undefined
      : refused('idempotencyKeyRunning', 'A request with this Idempotency-Key is still running.');
  }
  if (record.requestHash !== requestHash) {
    const message = `This Idempotency-Key was used with another request within the last ${idempotencyHours} hours.`;
    return refused('idempotencyKeyReused', message);
  }
  if (record.there) return { kind: 'replayed', agendaId: record.agendaId };
  const message = `The Agenda ${record.agendaId} that this Idempotency-Key created has been deleted.`;
  return refused('idempotentAgendaGone', message);
}

/** Keeps the answer, as a paragraph of the statement that creates the Agenda; needs its `stored` and `at`. */
export const rememberAnswer = (
  sql: Statements,
  { agendaId, customerId }: { readonly agendaId: string; readonly customerId: string },
  idempotency: IdempotencyKey | undefined,
) => sql`
  remembered as (
    insert into idempotency (customer_id, key, request_hash, agenda_id, added_time)
    select
      ${customerId},
      ${idempotency?.key ?? null},
      ${idempotency?.requestHash ?? null},
      ${agendaId},
      at.now
    from stored, at where ${idempotency !== undefined}::boolean
    on conflict (customer_id, key) do update set
      request_hash = excluded.request_hash,
      agenda_id = excluded.agenda_id,
      added_time = excluded.added_time)`;

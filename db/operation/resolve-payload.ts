/**
 * Payloads as handlers get them: references replaced by the results of finished Operations. Only results that a payload
 * names are read; small ones travel with the first query, large ones are read one by one, and the process does other
 * work between the larger ones, since whoever wrote them decides how long they take to parse.
 */
import { setImmediate } from 'node:timers/promises';
import PQueue from 'p-queue';
import type { Known } from '../../agenda/references.ts';
import {
  type OperationToResolve,
  pointedTo,
  type ReferredTo,
  type ResolvedPayload,
  referencedFault,
  referredTo,
  resolvePayload,
} from '../../agenda/resolve-payload.ts';
import type { Json } from '../../agenda/types.ts';
import type { Statements } from '../connect.ts';
import { few } from '../few.ts';

const smallResultBytes = 64 * 1024;
/** So much is parsed before other work has its turn. */
const bytesBetweenTurns = 256 * 1024;
/** Payloads that refer to more than this are resolved one at a time in a process: parsed, results may be very large. */
const largeBytes = 1024 * 1024;
const largeOnes = new PQueue({ concurrency: 1 });

interface StoredResult {
  readonly bytes: number;
  /** Absent for large ones. */
  readonly text: string | null;
}

/** So many results are looked for in one query, or as many as one payload names: the small ones come with it. */
const namesInQuery = 250;

/** An Operation whose payload is asked for, and how many bytes go with it. */
export type OperationToStart = OperationToResolve & { readonly otherBytes?: number };

/**
 * One answer per Operation, in the same order. Undefined, of one and all after it: with what goes with it, its payload
 * or what is read for it would make more than `mostBytes` with those before. The first one always has its answer.
 */
export async function resolvePayloads(
  sql: Statements,
  operations: readonly OperationToStart[],
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<(ResolvedPayload | undefined)[]> {
  const answers: (ResolvedPayload | undefined)[] = [];
  let bytes = 0;
  for (const group of groupsOf(operations)) {
    const reader = new ResultReader(sql, await readStored(sql, group));
    for (const operation of group) {
      const referenced = referencedBy(operation, reader);
      const tooLarge = referencedFault(operation.name, referenced);
      // A payload of thirty bytes may need results of megabytes, and whoever asked waits for all of the answer.
      const read = tooLarge === undefined ? referenced.reduce((sum, result) => sum + result.bytes, 0) : 0;
      if (answers.length > 0 && bytes + read > mostBytes) return operations.map((_, n) => answers[n]);
      const resolved = tooLarge === undefined ? await resolve(operation, read, reader) : { fault: tooLarge };
      const own = 'payload' in resolved ? Buffer.byteLength(resolved.payload) : 0;
      bytes += Math.max(own, read) + (operation.otherBytes ?? 0);
      if (answers.length > 0 && bytes > mostBytes) return operations.map((_, n) => answers[n]);
      answers.push(resolved);
    }
  }
  return answers;
}

type Asked = OperationToStart & { readonly referred: ReferredTo };

/** In their order, so that one query brings a bounded number of results. */
function* groupsOf(operations: readonly OperationToStart[]): Iterable<readonly Asked[]> {
  let group: Asked[] = [];
  let count = 0;
  for (const operation of operations) {
    const referred = referredTo(operation.payload);
    if (group.length > 0 && count + referred.size > namesInQuery) {
      yield group;
      group = [];
      count = 0;
    }
    group.push({ ...operation, referred });
    count += referred.size;
  }
  if (group.length > 0) yield group;
}

const keyOf = (agendaId: string, name: string): string => `${agendaId} ${name}`;

async function readStored(
  sql: Statements,
  asked: readonly { readonly agendaId: string; readonly referred: ReferredTo }[],
): Promise<ReadonlyMap<string, StoredResult>> {
  const pairs = asked.flatMap(({ agendaId, referred }) => [...referred.keys()].map((name) => ({ agendaId, name })));
  if (pairs.length === 0) return new Map();
  const wanted = sql`unnest(${pairs.map((pair) => pair.agendaId)}::text[], ${pairs.map((pair) => pair.name)}::text[])
    as given(agenda_id, name)`;
  const rows = await sql<{ agenda_id: string; operation: string; bytes: number | null; text: string | null }[]>`
    /* resolvePayloads: results */
    select distinct on (p.agenda_id, p.index) p.agenda_id, p.operation, octet_length(p.result_payload) as bytes,
      case when octet_length(p.result_payload) <= ${smallResultBytes} then p.result_payload end as text
    from ${few(sql, wanted, pairs.length)} w
    join operation o on o.agenda_id = w.agenda_id and o.name = w.name
    join operation_progress p on p.agenda_id = o.agenda_id and p.index = o.index
    where p.processing_state = 'COMPLETE' and p.processing_state_message = 'succeeded'`;
  // An Operation that gave no result has null.
  return new Map(
    rows.map((row) => [
      keyOf(row.agenda_id, row.operation),
      { bytes: row.bytes ?? 4, text: row.bytes === null ? 'null' : row.text },
    ]),
  );
}

/** Reads and parses results for one payload at a time, and keeps none. */
class ResultReader {
  readonly #sql: Statements;
  readonly #stored: ReadonlyMap<string, StoredResult>;
  #parsedBytes = 0;

  constructor(sql: Statements, stored: ReadonlyMap<string, StoredResult>) {
    this.#sql = sql;
    this.#stored = stored;
  }

  bytesOf(agendaId: string, name: string): number {
    return this.#stored.get(keyOf(agendaId, name))?.bytes ?? 0;
  }

  /** What is pointed to; undefined when there is no such Operation that succeeded. */
  async read(agendaId: string, name: string, pointers: ReadonlySet<string>): Promise<Known | undefined> {
    const stored = this.#stored.get(keyOf(agendaId, name));
    if (stored === undefined) return undefined;
    const text = stored.text ?? (await this.#readLarge(agendaId, name));
    this.#parsedBytes += stored.bytes;
    if (this.#parsedBytes > bytesBetweenTurns) {
      this.#parsedBytes = 0;
      await setImmediate();
    }
    return pointedTo(JSON.parse(text) as Json, pointers);
  }

  async #readLarge(agendaId: string, name: string): Promise<string> {
    const [row] = await this.#sql<{ result_payload: string | null }[]>`
      /* resolvePayloads: large result */
      select p.result_payload
      from operation o join operation_progress p on p.agenda_id = o.agenda_id and p.index = o.index
      where o.agenda_id = ${agendaId} and o.name = ${name}`;
    return row?.result_payload ?? 'null';
  }
}

const referencedBy = ({ agendaId, referred }: Asked, reader: ResultReader) =>
  [...referred.keys()].map((name) => ({ name, bytes: reader.bytesOf(agendaId, name) }));

async function resolve(asked: Asked, readBytes: number, reader: ResultReader): Promise<ResolvedPayload> {
  const { agendaId, name, payload, referred } = asked;
  const work = async (): Promise<ResolvedPayload> => {
    const results = new Map<string, Known>();
    for (const [other, pointers] of referred) {
      const known = await reader.read(agendaId, other, pointers);
      if (known !== undefined) results.set(other, known);
    }
    return resolvePayload({ agendaId, name, payload }, results);
  };
  return readBytes > largeBytes ? largeOnes.add(work) : work();
}

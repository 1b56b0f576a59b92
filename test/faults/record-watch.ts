/**
 * Watches the record from its own connection, for as long as a system lives and across restarts of Postgres: the view
 * `limit_breach` is read over and over, and triggers note every breach at the moment of a commit and every change of a
 * processing state.
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';

/** A row that changed its processing state. */
export interface Transition {
  readonly id: string;
  readonly before: string;
  readonly after: string;
  readonly message: string;
}

const triggers = `
  create schema fault_watch;
  create table fault_watch.breach (
    time timestamptz default clock_timestamp(), kind text, id text, "limit" float8, actual float8);
  create function fault_watch.note_breach() returns trigger language plpgsql as $$
    begin
      insert into fault_watch.breach (kind, id, "limit", actual)
        select kind, id, "limit", actual from public.limit_breach;
      return null;
    end $$;
  create constraint trigger note_breach after insert or update on public.running_agenda
    deferrable initially deferred for each row execute function fault_watch.note_breach();
  create table fault_watch.transition (number bigserial, id text, before text, after text, message text);
  create function fault_watch.note_transition() returns trigger language plpgsql as $$
    begin
      insert into fault_watch.transition (id, before, after, message)
        values (new.id, old.processing_state, new.processing_state, new.processing_state_message);
      return null;
    end $$;
  create trigger note_transition after update on public.operation_progress for each row
    when (old.processing_state <> new.processing_state or (old.processing_state = 'COMPLETE' and
      (old.processing_state_message, old.launch, old.result_payload) is distinct from
      (new.processing_state_message, new.launch, new.result_payload)))
    execute function fault_watch.note_transition();
  create trigger note_transition after update on public.agenda_progress for each row
    when (old.processing_state <> new.processing_state or (old.processing_state = 'COMPLETE' and
      old.processing_state_message <> new.processing_state_message))
    execute function fault_watch.note_transition();`;

const pauseMilliseconds = 10;

/** Watches one record until it is disposed. */
export class RecordWatch implements AsyncDisposable {
  /** Readings of `limit_breach` since the last `take`. */
  #samples = 0;
  #breaches: unknown[] = [];
  #faults: unknown[] = [];
  #ended = new AbortController();
  #sampling: Promise<void>;
  readonly #sql: postgres.Sql;

  private constructor(url: string) {
    this.#sql = postgres(url, {
      max: 1,
      connect_timeout: 2,
      backoff: () => 0.05,
      connection: { application_name: 'fault-watch' },
    });
    this.#sampling = this.#sample();
  }

  /** Installs the triggers and begins. */
  static async begin(url: string): Promise<RecordWatch> {
    const sql = postgres(url, { max: 1 });
    try {
      await sql.unsafe(triggers);
    } finally {
      await sql.end();
    }
    return new RecordWatch(url);
  }

  /** Samples since they were last taken. */
  get samples(): number {
    return this.#samples;
  }

  /** What was seen since the last call. */
  async take(): Promise<{ samples: number; breaches: unknown[]; faults: unknown[]; transitions: Transition[] }> {
    const sql = this.#sql;
    const atCommit = await sql`delete from fault_watch.breach returning *`;
    const transitions = await sql<(Transition & { number: string })[]>`delete from fault_watch.transition returning *`;
    const seen = { samples: this.#samples, breaches: [...this.#breaches, ...atCommit], faults: this.#faults };
    this.#samples = 0;
    this.#breaches = [];
    this.#faults = [];
    return { ...seen, transitions: transitions.toSorted((a, b) => Number(a.number) - Number(b.number)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#sampling;
    await this.#sql.end({ timeout: 1 });
  }

  async #sample(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        const rows = await this.#sql`select *, clock_timestamp() as time from public.limit_breach`;
        this.#samples += 1;
        this.#breaches.push(...rows);
      } catch (error) {
        if (!isAway(error)) this.#faults.push(error);
      }
      await delay(pauseMilliseconds, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Postgres is down, is coming up or going down: no fault of the view. */
function isAway(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^(ECONN|EPIPE|CONNECT|57P0|08)/.test(code);
}

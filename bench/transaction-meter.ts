/** A connection whose transactions are timed, and what Postgres counted meanwhile. */
import { type Database, openDatabase, type Statements } from '../db/connect.ts';

/** Closes its connection at the end of its scope. */
export class TransactionMeter implements AsyncDisposable {
  readonly database: Database;
  /**
   * Milliseconds from the answer to BEGIN to the answer to COMMIT, which is no less than any lock in between was held.
   */
  #milliseconds: number[] = [];

  constructor(url: string) {
    this.database = openDatabase(url, { connections: 1, applicationName: 'bench' });
    const client = this.database.$client;
    const begin = client.begin.bind(client) as (...parameters: unknown[]) => Promise<unknown>;
    const timedBegin = async (...parameters: unknown[]): Promise<unknown> => {
      const work = parameters.pop() as (sql: Statements) => unknown;
      let begun = 0;
      const answer = await begin(...parameters, (sql: Statements) => {
        begun = performance.now();
        return work(sql);
      });
      this.#milliseconds.push(performance.now() - begun);
      return answer;
    };
    Object.assign(client, { begin: timedBegin });
  }

  /** Times of the transactions since the last call. */
  take(): number[] {
    const taken = this.#milliseconds;
    this.#milliseconds = [];
    return taken;
  }

  /** Rows read from tables so far, by index or by scan, in all transactions that Postgres has counted. */
  async rowsRead(): Promise<number> {
    // Counts of this connection would else come up to a second late.
    await this.database.$client`select pg_stat_force_next_flush()`;
    const [row] = await this.database.$client<{ rows: number }[]>`
      select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::float8 as rows from pg_stat_user_tables`;
    return row?.rows ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
  }
}

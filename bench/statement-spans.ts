/**
 * Where the time of Postgres goes, statement by statement (`--spans`): told on stderr, beside the figures, and a little
 * at their expense.
 */

import { type Database, openDatabase } from '../db/connect.ts';
import type { System } from '../machine/system.ts';

const longestText = 110;

/** Counts of pg_stat_statements, for one part of a benchmark after the other. */
export class StatementSpans {
  readonly #sql: Database['$client'];

  private constructor(sql: Database['$client']) {
    this.#sql = sql;
  }

  /** Has the server count, for which it is started again. */
  static async enable(system: System, database: Database): Promise<StatementSpans> {
    {
      await using own = openDatabase(system.urls.database, { connections: 1 });
      await own.$client`alter system set shared_preload_libraries = 'pg_stat_statements'`;
    }
    await system.stop('postgres');
    await system.start('postgres');
    await database.$client`create extension pg_stat_statements`;
    return new StatementSpans(database.$client);
  }

  async begin(): Promise<void> {
    await this.#sql`select pg_stat_statements_reset()`;
  }

  /** Says what took longest since `begin`. */
  async tell(title: string, count = 16): Promise<void> {
    const rows = await this.#sql<
      { query: string; calls: number; total: number; mean: number; most: number; rows: number; blocks: number }[]
    >`
      select query, calls::float8, total_exec_time as total, mean_exec_time as mean, max_exec_time as most,
        rows::float8 / calls as rows,
        (shared_blks_hit + shared_blks_read)::float8 / calls as blocks
      from pg_stat_statements where query not like '%pg_stat%' order by total_exec_time desc limit ${count}`;
    const lines = rows.map(({ query, calls, total, mean, most, rows: each, blocks }) =>
      [
        `${total.toFixed(0)} ms`.padStart(10),
        `${calls} ×`.padStart(8),
        `${mean.toFixed(2)} ms`.padStart(11),
        `max ${most.toFixed(1)}`.padStart(11),
        `${each.toFixed(0)} rows`.padStart(10),
        `${blocks.toFixed(0)} blocks`.padStart(14),
        ` ${query.replace(/\s+/g, ' ').trim().slice(0, longestText)}`,
      ].join(' '),
    );
    process.stderr.write(`${title}\n${lines.join('\n')}\n`);
  }
}

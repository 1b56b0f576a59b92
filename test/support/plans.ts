/** What Postgres plans for the statements of a function, which are sent as they are by whoever calls it. */
import type { TestDatabase } from './test-database.ts';

type Debug = (connection: number, text: string, parameters: unknown[]) => void;
type Sent = readonly [text: string, parameters: unknown[]];

/** The plans with the values that `ask` sends. */
export const plansOf = async (database: TestDatabase, ask: () => Promise<unknown>): Promise<string[]> =>
  explained(database, await sentBy(database, ask), (text) => `explain ${text}`);

/** The plans for any values, as a connection keeps them after a few executions. */
export async function genericPlansOf(database: TestDatabase, ask: () => Promise<unknown>): Promise<string[]> {
  const sent = await sentBy(database, ask);
  const withoutValues = sent.map(([text]): Sent => [text, []]);
  return explained(database, withoutValues, (text) => `explain (generic_plan) ${text}`);
}

/** Whatever can be explained of what was sent. */
async function sentBy({ $client: sql }: TestDatabase, ask: () => Promise<unknown>): Promise<Sent[]> {
  const sent: Sent[] = [];
  const options = sql.options as { debug?: Debug | boolean };
  options.debug = (_, text, parameters) => sent.push([text, parameters]);
  try {
    await ask();
  } finally {
    options.debug = false;
  }
  return sent.filter(([text]) => !/^(begin|commit|rollback)/.test(text));
}

async function explained(
  { $client: sql }: TestDatabase,
  sent: readonly Sent[],
  explain: (text: string) => string,
): Promise<string[]> {
  const plans = await Promise.all(
    sent.map(([text, parameters]) => sql.unsafe(explain(text), parameters as (string | number)[])),
  );
  return plans.map((rows) => rows.map((row) => row['QUERY PLAN']).join('\n'));
}

/** Postgres plans the statements that are asked at every step once for a connection, not at each call. */
import { expect, test } from 'vitest';
import { testDatabase } from '../test/support/test-database.ts';
import { addInsight, addRunningAgenda } from '../test/support/test-records.ts';
import { flipWake } from './admission/wake.ts';
import { openDatabase } from './connect.ts';
import { finishOperations } from './operation/finish-operations.ts';
import { startOperations } from './operation/start-operations.ts';

/** Postgres plans the first five executions of a statement for their values. */
const first = 5;
const times = 20;

test('a wake, a start and an end are planned for any values after a few calls', async () => {
  await using database = await testDatabase();
  // One connection, for the plans are a connection's.
  await using one = openDatabase(database.url, { connections: 1 });
  const insight = await addInsight(one);
  for (let n = 0; n < times; n += 1) {
    const { agendaId, attempt, resourcePoolId, insightId } = await addRunningAgenda(one, { insight });
    const key = { agendaId, attempt, operation: 'only' };
    await flipWake(one, [insightId]);
    await startOperations(one, resourcePoolId, [{ ...key, place: 'here', worker: 'w' }]);
    const end = { ...key, operationAttempt: 1, launch: 1, outcome: 'succeeded' } as const;
    await finishOperations(one, resourcePoolId, [end]);
  }
  const plans = await one.$client<{ name: string; forValues: number }[]>`
    select substring(statement from '/[*] (.*?) [*]/') as name, max(custom_plans)::int as "forValues"
    from pg_prepared_statements group by 1`;
  const asked = Object.fromEntries(plans.map(({ name, forValues }) => [name, forValues]));
  const names = ['wake: flip', 'fence: lock Agendas', 'fence: read Operations', 'writeChanges: progress and launches'];
  for (const name of [...names, 'agendaProgress: refresh']) expect([name, asked[name]]).toEqual([name, first]);
});

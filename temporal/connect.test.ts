import { expect, test } from 'vitest';
import { plainNames } from '../workflows/names.ts';
import { lazyTemporalClient, within } from './connect.ts';

test('a client that is closed while it tries again ends no process, and those who asked hear of it', async () => {
  let asked: Promise<PromiseSettledResult<void>[]>;
  {
    await using client = lazyTemporalClient({ address: '127.0.0.1:1', namespace: 'default', names: plainNames });
    // A deadline soon, and one that is far away; each tries again after ever longer waits until then.
    const all = [300, 60_000].map((milliseconds) =>
      within(client, milliseconds, async () => void (await client.workflow.getHandle('any').describe())),
    );
    asked = Promise.allSettled(all);
    await expect(all[0]).rejects.toThrow();
  }
  expect(await asked).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
});

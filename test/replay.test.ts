import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { workflowBundle } from '../workers/workflow-bundle.ts';

/**
 * Recorded from real runs by `scripts/record-histories.ts` and, open ones, by `scripts/record-system.ts`, of this
 * version and of those before it that may have open runs.
 */
const folder = fileURLToPath(new URL('history/', import.meta.url));
const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.json'));

let codePath: string;
beforeAll(async () => {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'OFF', forward: {} } },
  });
  codePath = await workflowBundle();
});

test('there are histories of both workflows', () => {
  expect(names.filter((name) => name.startsWith('agenda-')).length).toBeGreaterThanOrEqual(3);
  expect(names.filter((name) => name.startsWith('admission-')).length).toBeGreaterThanOrEqual(1);
});

test.each(names)('the workflows of today go the way of %s', async (name) => {
  const history: unknown = historyFromJSON(JSON.parse(await readFile(join(folder, name), 'utf8')));
  await Worker.runReplayHistory(
    { workflowBundle: { codePath } },
    history as Parameters<typeof Worker.runReplayHistory>[1],
    name.replace('.json', ''),
  );
});

/** What is done without an engine; tools as containers of one are tested in test/docker. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { readFields } from '../fields.ts';
import { readFacts } from '../inputs.ts';
import { runExternal } from './run-external.ts';

test('an engine that is not there fails in words', async () => {
  const fields = readFields([], { DOCKER_HOST: 'unix:///no/such.sock' });
  const parts = { fields, operation: readFacts(fields), signal: new AbortController().signal, log: () => {} };
  // That the container could not be removed either.
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
  onTestFinished(() => complaints.mockRestore());
  await expect(runExternal({ image: 'busybox:1.36', launch: 'docker' }, parts)).rejects.toThrow(
    /unix:\/\/\/no\/such.sock cannot be reached/,
  );
  expect(complaints).toHaveBeenCalledOnce();
});

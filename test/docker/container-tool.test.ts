/** Tools of the SDK as containers of a real engine. */
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DockerClient } from '../../handler/external/docker-client.ts';
import type { ExternalTool } from '../../handler/external/external-tool.ts';
import { runExternal } from '../../handler/external/run-external.ts';
import { readFields } from '../../handler/fields.ts';
import { readFacts } from '../../handler/inputs.ts';
import { testEngine } from '../support/docker-engine.ts';

const engine = await testEngine();
afterAll(() => engine?.[Symbol.asyncDispose]());
const image = engine?.image ?? '';
const fields = readFields([], { DOCKER_HOST: `unix://${engine?.socket}` });

let lines: string[];
let said: string[];
let ending: AbortController;
beforeEach(() => {
  [lines, said, ending] = [[], [], new AbortController()];
});
afterEach(() => ending.abort());

const run = (script: string, tool: Partial<ExternalTool> = {}) =>
  runExternal(
    { image, command: ['sh', '-c', script], launch: 'docker', onLine: (line) => lines.push(line), ...tool },
    { fields, operation: readFacts(fields), signal: ending.signal, log: (line) => said.push(line) },
  );
const containers = async () => {
  const listed = (await new DockerClient(fields).request('GET', '/containers/json?all=true')) as unknown;
  return (listed as { Names: string[] }[]).flatMap(({ Names }) => Names).filter((name) => name.includes('pop-tool'));
};

describe.skipIf(engine === undefined)('a tool as a container', () => {
  test('its lines are followed, both streams, and it is gone at its end', async () => {
    const writing = 'touch /root-file 2> /dev/null || echo read-only';
    const script = `echo one; echo two >&2; seq 1 2000; echo "$MINE $0"; ${writing}; printf last`;
    const ended = await run(script, { args: ['zero'], env: { MINE: 'x' }, resources: { cpu: '500m', memory: '64Mi' } });
    expect(ended.exitCode).toBe(0);
    const numbers = Array.from({ length: 2_000 }, (_, n) => String(n + 1));
    expect(lines.filter((line) => /^\d+$/.test(line))).toEqual(numbers);
    expect(lines.filter((line) => !/^\d+$/.test(line)).toSorted()).toEqual(
      ['one', 'two', 'x zero', 'read-only', 'last'].toSorted(),
    );
    expect(await containers()).toEqual([]);
  });

  test('its failure tells exit code and last lines', async () => {
    await expect(run('echo broken; exit 3')).rejects.toMatchObject({
      message: `${image} ended with exit code 3.`,
      details: { code: 'externalFailed', payload: { launch: 'docker', exitCode: 3, lastLines: ['broken'] } },
    });
    await expect(run('', { command: ['no-such-program'] })).rejects.toMatchObject({
      details: { code: 'externalNotStarted' },
    });
    expect(await containers()).toEqual([]);
  });

  test('an image that cannot be had fails in words', async () => {
    await expect(run('true', { image: 'pop.invalid/none:1' })).rejects.toMatchObject({
      details: { code: 'externalNotStarted' },
    });
    expect(said).toEqual(['pop.invalid/none:1 waits: Pulling pop.invalid/none:1']);
  });

  test('an abort stops it with its grace and waits until it is gone; so does the end of its time', async () => {
    const ended = run('trap "echo tidied; exit 0" TERM; echo ready; while :; do sleep 0.1; done');
    const caught = ended.catch((error: unknown) => error);
    await vi.waitFor(() => expect(lines).toContain('ready'), { timeout: 10_000 });
    const reason = new Error('asked to end');
    ending.abort(reason);
    expect(await caught).toBe(reason);
    expect(lines).toContain('tidied');
    expect(await containers()).toEqual([]);
    ending = new AbortController();
    await expect(run('sleep 1000', { runSeconds: 0.5, graceSeconds: 1 })).rejects.toMatchObject({
      details: { code: 'externalTimedOut' },
    });
    expect(await containers()).toEqual([]);
  });
});

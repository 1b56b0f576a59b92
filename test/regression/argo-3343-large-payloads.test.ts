/** argo 3343: payloads that references make large, on their way through api, Temporal and pool worker to a process. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { maximumPayloadBytes, maximumResolvedPayloadBytes } from '../../agenda/types.ts';
import { defaultCustomerId, ensureDefaults } from '../../machine/defaults.ts';
import { System } from '../../machine/system.ts';

const functions = fileURLToPath(new URL('../support/large-result.ts', import.meta.url));
const sums = `cat "$POP_PAYLOAD_FILE"* | sha256sum | sed 's/\\([0-9a-f]*\\).*/"\\1"/' > "$POP_RESULT_FILE"`;
const types = {
  basePodConfig: {},
  largeResult: { podConfig: { launch: 'inProcess', function: `${functions}#largeResult` } },
  payloadSum: { podConfig: { command: ['sh', '-c', sums] } },
};

let home: string;
let system: System;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'pop-large-'));
  const registry = join(home, 'registry.json');
  await writeFile(registry, JSON.stringify(types));
  system = await System.start({ home, registry });
  await ensureDefaults(system);
}, 120_000);
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

interface OperationProgress {
  readonly operation: string;
  readonly processingStateMessage: string;
  readonly launch: number;
  readonly resultPayload?: string;
  readonly failureCode?: string;
  readonly diagnosticEvents?: readonly { readonly message: string }[];
}
interface AgendaProgress {
  readonly processingState: string;
  readonly operationProgress: readonly OperationProgress[];
}

async function ask<Answer>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${system.urls.api}${path}`, {
    method,
    headers: { authorization: `Bearer ${system.keys.operator}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as Answer;
}

/** What became of each Operation, by name. */
async function run(operations: readonly object[]): Promise<ReadonlyMap<string, OperationProgress>> {
  const agenda = { customerId: defaultCustomerId, operations };
  const { progressId } = await ask<{ progressId: string }>('POST', '/agenda', agenda);
  const ended = await vi.waitFor(
    async () => {
      const progress = await ask<AgendaProgress>('GET', `/progress/agenda/${progressId}?wait=10s`);
      expect(progress.processingState).toBe('COMPLETE');
      return progress;
    },
    { timeout: 150_000, interval: 50 },
  );
  return new Map(ended.operationProgress.map((each) => [each.operation, each]));
}

const sumOf = (text: string) => JSON.stringify(createHash('sha256').update(text).digest('hex'));
/** As `largeResult` gives it. */
const result = (bytes: number) => 'p'.repeat(bytes - 2);
const largeResult = (name: string, bytes: number) => ({ name, type: 'largeResult', payload: { bytes } });
const reader = (name: string, payload: readonly string[]) => ({ name, type: 'payloadSum', payload });

test('a fan-in of 200 results of 8 KiB each comes by file', { timeout: 180_000 }, async () => {
  const [count, bytes] = [200, 8 * 1024];
  const names = Array.from({ length: count }, (_, n) => `p${n}`);
  const operations = await run([
    ...names.map((name) => largeResult(name, bytes)),
    reader(
      'all',
      names.map((name) => `@<${name}.out>`),
    ),
  ]);
  const payload = JSON.stringify(names.map(() => result(bytes)));
  expect(Buffer.byteLength(payload)).toBeGreaterThan(1.5 * 1024 * 1024);
  expect(operations.get('all')).toMatchObject({
    processingStateMessage: 'succeeded',
    launch: 1,
    resultPayload: sumOf(payload),
  });
});

test('payloads at the limit come whole, many at once; one byte more is refused', { timeout: 180_000 }, async () => {
  // Brackets and commas are 5 bytes.
  const rest = maximumResolvedPayloadBytes - 3 * maximumPayloadBytes - 5;
  const thrice = ['@<most.out>', '@<most.out>', '@<most.out>'];
  // One answer to their pool worker has room for two.
  const many = Array.from({ length: 8 }, (_, n) => `fits${n}`);
  const operations = await run([
    largeResult('most', maximumPayloadBytes),
    largeResult('rest', rest),
    largeResult('more', rest + 1),
    ...many.map((name) => reader(name, [...thrice, '@<rest.out>'])),
    { ...reader('tooLarge', [...thrice, '@<more.out>']), dependsOn: many },
  ]);
  const most = result(maximumPayloadBytes);
  const payload = JSON.stringify([most, most, most, result(rest)]);
  expect(Buffer.byteLength(payload)).toBe(maximumResolvedPayloadBytes);
  for (const name of many) expect(operations.get(name)).toMatchObject({ launch: 1, resultPayload: sumOf(payload) });
  const { failureCode, diagnosticEvents } = operations.get('tooLarge') ?? {};
  expect(failureCode).toBe('payloadTooLarge');
  expect(diagnosticEvents?.[0]?.message).toContain(`has ${maximumResolvedPayloadBytes + 1} bytes`);
  expect(diagnosticEvents?.[0]?.message).toContain(`the limit is ${maximumResolvedPayloadBytes}.`);
});

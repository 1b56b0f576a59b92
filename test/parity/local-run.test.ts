/** `pop run --local` beside the running system: the same Agendas, the same handlers, the same records at the end. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { OwnPool } from './own-pool.ts';
import { done, ended, type Fields, newTenant, sample, submit, type Tenant, whenOperation } from './running-system.ts';

const pop = fileURLToPath(new URL('../../cli/pop.ts', import.meta.url));
const registry = fileURLToPath(new URL('registry.json', import.meta.url));

const logging = (name: string, payload: unknown) => ({ name, type: 'logMessages', payload });
const failing = { actions: [{ action: 'exception', paramsMap: { exceptionMessage: 'No luck.', code: 'noLuck' } }] };
const exiting = { actions: [{ action: 'externalExecute', paramsMap: { externalArgs: ['sh', '-c', 'exit 7'] } }] };
const probe = sample('probe', { resultPayload: { frames: 12, tags: ['a', 'b'] } });

/** Each with the outcome that it must have, so that two that fail alike for another reason are noticed. */
const agendas: Readonly<Record<string, { readonly outcome: string; readonly agenda: Fields }>> = {
  'success, with references': {
    outcome: 'succeeded',
    agenda: {
      title: 'All is well',
      linkId: 'link-1',
      params: { externalId: 7, maximumAttempts: '5' },
      parallelism: 2,
      operations: [
        { ...probe, weight: 3 },
        sample('copy', {
          resultPayload: { whole: '@<probe.out>', text: 'x@<probe.out::/tags/1>', none: '@<probe.out::/q?>' },
        }),
        {
          ...logging('tell', { logMessages: ['@<copy.out::/text>', { frames: '@<probe.out::/frames>' }] }),
          id: 'own-id',
        },
        { ...logging('after', { logMessages: [] }), params: { dependsOn: 'tell, copy' } },
      ],
    },
  },
  'a failure, and what it keeps from starting': {
    outcome: 'failed',
    agenda: {
      operations: [
        probe,
        { ...sample('fails', failing), dependsOn: ['probe'] },
        { ...probe, name: 'next', dependsOn: ['fails'] },
        { ...probe, name: 'last', dependsOn: ['next'] },
      ],
    },
  },
  'a program that exits with another code': { outcome: 'failed', agenda: { operations: [sample('exits', exiting)] } },
  'a reference to what a result does not have': {
    outcome: 'failed',
    agenda: {
      operations: [probe, sample('asks', { resultPayload: ['@<probe.out::/nothing>', 'in @<probe.out::/tags>'] })],
    },
  },
  'a resident type with a payload that it does not take': {
    outcome: 'failed',
    agenda: { operations: [logging('tell', { logMessages: 'all' })] },
  },
  'a timeout of the Operation': {
    outcome: 'failed',
    agenda: {
      operations: [
        { name: 'still', type: 'still', timeout: { runSeconds: 1 } },
        { ...probe, dependsOn: ['still'] },
      ],
    },
  },
  'a timeout of its type': { outcome: 'failed', agenda: { operations: [{ name: 'quiet', type: 'quiet' }] } },
};

interface LocalRun {
  readonly exitCode: number;
  readonly record: unknown;
}

/** `interrupt`: Ctrl-C, as soon as stderr has this text. */
async function runLocally(agenda: Fields, interrupt?: string): Promise<LocalRun> {
  const folder = await mkdtemp(join(tmpdir(), 'pop-local-run-'));
  try {
    const file = join(folder, 'agenda.json');
    await writeFile(file, JSON.stringify(agenda));
    const args = ['run', '--local', file, '--registry', registry, '-o', 'json'];
    const child = spawn(process.execPath, [pop, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      const wasThere = interrupt !== undefined && stderr.includes(interrupt);
      stderr += text;
      // Once: a second one ends it at once.
      if (interrupt !== undefined && !wasThere && stderr.includes(interrupt)) child.kill('SIGINT');
    });
    const exitCode = await new Promise<number>((resolve) => child.on('close', resolve));
    return { exitCode, record: JSON.parse(stdout || JSON.stringify({ stderr })) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runOnServer(tenant: Tenant, agenda: Fields): Promise<unknown> {
  return ended(tenant, await submit(tenant, agenda));
}

/** Times only as being there, ids by their kind, and nothing of where an Agenda went. */
function comparable(record: unknown): unknown {
  const { id } = record as { id: string };
  return JSON.parse(JSON.stringify(record).replaceAll(id, '<progress>'), (key, value: unknown) => {
    if (/^(cid|agendaId|jobId)$/.test(key)) return `<${key}>`;
    if (/^time$|Time$/.test(key) && typeof value === 'number') return '<time>';
    // The sample handler makes an id of its own, and a local run is in no pool of a server.
    if (typeof value === 'string')
      return value
        .replace(/^Began job [0-9a-f-]{36}$/, 'Began job <jobId>')
        .replace(/in resource pool \S+ \(/, 'in resource pool <pool> (');
    // An SDK's report of no events is there when it came before the end, and not when the end overtook it.
    if (key === 'diagnosticEvents' && Array.isArray(value) && value.length === 0) return undefined;
    return key === 'agendaInsight' ? undefined : value;
  });
}

test('row 59: an Agenda from a local file runs once without a server; its record is that of a server', async () => {
  const tenant = await newTenant();
  const { customerId } = tenant;
  await Promise.all(
    Object.entries(agendas).map(async ([name, { agenda, outcome }]) => {
      const onServer = await runOnServer(tenant, agenda);
      const { exitCode, record } = await runLocally({ customerId, ...agenda });
      expect(record, name).toMatchObject({
        outcome,
        percentComplete: outcome === 'succeeded' ? 100 : expect.any(Number),
      });
      expect(comparable(record), name).toEqual(comparable(onServer));
      expect(exitCode, name).toBe(outcome === 'succeeded' ? 0 : 1);
    }),
  );

  // A server takes a type that nobody serves only until a pool worker has told of its types.
  await using pool = await OwnPool.make();
  const early = await newTenant({}, pool.id);
  const unheard = { operations: [{ name: 'a', type: 'unheardOf' }] };
  const taken = await submit(early, unheard);
  await pool.startWorker();
  const strange = await runLocally({ customerId: early.customerId, ...unheard });
  expect(strange).toMatchObject({ exitCode: 1, record: { outcome: 'failed' } });
  expect(comparable(strange.record)).toEqual(comparable(await ended(early, taken)));

  const waiting = {
    operations: [
      { name: 'still', type: 'still' },
      { ...probe, dependsOn: ['still'] },
    ],
  };
  const submitted = await submit(tenant, waiting);
  await whenOperation(tenant, submitted, 'still', 'EXECUTING');
  await done(tenant.send, 'POST', `/agenda/${submitted.id}/cancel`);
  const { exitCode, record } = await runLocally({ customerId, ...waiting }, 'still: executing');
  expect(record).toMatchObject({ outcome: 'cancelled' });
  expect(comparable(record)).toEqual(comparable(await ended(tenant, submitted)));
  expect(exitCode).toBe(1);
});

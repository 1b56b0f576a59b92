import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Agenda, customerId, TestSystem, witness } from './test-system.ts';

const shell = (script: string, more: Readonly<Record<string, unknown>> = {}) => ({
  podConfig: { command: ['/bin/sh', '-c', script], graceSeconds: 1, ...more },
});

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start({
    types: {
      exitsWith1: shell('echo all is lost; exit 1'),
      silent: shell('exit 0', { resultFrom: 'lastLogLine' }),
      prints100Megabytes: shell("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo '{\"printed\":100000000}'", {
        resultFrom: 'lastLogLine',
      }),
      neverEnds: shell('sleep 600 & wait', { runSeconds: 2 }),
      killsItself: shell('kill -SEGV $$'),
      returnsNoJson: shell('echo "{broken" > "$POP_RESULT_FILE"'),
      saysNoJson: shell('echo this is no JSON', { resultFrom: 'lastLogLine' }),
      noSuchProgram: { podConfig: { command: ['/no/such/program'] } },
    },
  });
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

interface OperationProgress {
  readonly operation: string;
  readonly processingStateMessage: string;
  readonly diagnosticEvents?: readonly {
    readonly code?: string;
    readonly message: string;
    readonly payload?: unknown;
  }[];
}

test('bad handlers fail at their Operation with a clear word, and other Agendas of the pool go on', {
  timeout: 240_000,
}, async () => {
  const gate = it.gate();
  const beside = await it.submit([
    witness('held', { until: gate.until }),
    witness('last', {}, { dependsOn: ['held'] }),
  ]);
  await it.handlerStarted(beside, 'held');

  const wanted: Readonly<Record<string, { code: string; message: RegExp }>> = {
    exitsWith1: { code: 'exitCode', message: /exit code 1/ },
    neverEnds: { code: 'runLimit', message: /longer than runSeconds = 2/ },
    killsItself: { code: 'signal', message: /SIGSEGV/ },
    returnsNoJson: { code: 'resultNotJson', message: /not JSON/ },
    saysNoJson: { code: 'resultNotJson', message: /not JSON/ },
    noSuchProgram: { code: 'commandNotFound', message: /\/no\/such\/program/ },
  };
  const agendas: [string, Agenda][] = [];
  for (const type of Object.keys(wanted)) {
    agendas.push([
      type,
      await it.submit([
        witness('good'),
        { name: 'bad', type, payload: {} },
        witness('after', {}, { dependsOn: ['bad', 'good'] }),
      ]),
    ]);
  }
  for (const [type, agenda] of agendas) {
    const progress = await it.ended(agenda, 120);
    expect(progress.processingStateMessage, type).toBe('failed');
    expect(JSON.stringify(progress.diagnosticEvents), type).toContain('Failed to complete operation: bad');
    const [good, bad, after] = progress.operationProgress as OperationProgress[];
    expect([good?.processingStateMessage, bad?.processingStateMessage, after?.processingStateMessage], type).toEqual([
      'succeeded',
      'failed',
      'skipped',
    ]);
    const events = bad?.diagnosticEvents ?? [];
    expect(
      events.map(({ code }) => code),
      `${type}: ${JSON.stringify(events)}`,
    ).toContain(wanted[type]?.code);
    expect(events.map(({ message }) => message).join('\n'), type).toMatch(wanted[type]?.message ?? /never/);
    if (type === 'exitsWith1') expect(JSON.stringify(events)).toContain('all is lost');
  }
  expect((await it.progress(beside)).processingState).toBe('EXECUTING');
  await gate.open();
  await it.allSucceed([beside]);
  await it.prove();
});

test('a silent handler succeeds without a result; one that prints 100 MB with its last line, its log cut', async () => {
  const agenda = await it.submit([
    { name: 'silent', type: 'silent', payload: {} },
    { name: 'loud', type: 'prints100Megabytes', payload: {} },
  ]);
  await it.allSucceed([agenda], 90);
  const [silent, loud] = (await it.progress(agenda)).operationProgress;
  expect(silent.resultPayload).toBeUndefined();
  expect(JSON.parse(loud.resultPayload)).toEqual({ printed: 100_000_000 });
  const { body } = await it.send('GET', `/agenda/${agenda.id}/logs?operation=loud`);
  expect(body.all[0].totalBytes).toBeGreaterThanOrEqual(100_000_000);
  expect(body.all[0].output.length).toBeLessThan(2_000_000);
  await it.prove();
});

test('a reference to something that a result does not have fails its Operation by name', async () => {
  const agenda = await it.submit([witness('made'), witness('uses', { milliseconds: '@<made.out::/nothing/here>' })]);
  const progress = await it.ended(agenda);
  expect(progress.processingStateMessage).toBe('failed');
  const [made, uses] = progress.operationProgress as OperationProgress[];
  expect([made?.processingStateMessage, uses?.processingStateMessage]).toEqual(['succeeded', 'failed']);
  expect(JSON.stringify(uses?.diagnosticEvents)).toContain('/nothing/here');
  await it.prove();
});

test('what cannot be right is refused when it is submitted, and stores nothing', async () => {
  const refused = async (status: number, body: unknown, code?: string) => {
    const answer = await it.send('POST', '/agenda', body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    if (code !== undefined) expect(JSON.stringify(answer.body)).toContain(code);
  };
  const of = (...operations: unknown[]) => ({ customerId, operations });
  const count = async () => (await it.sql`select count(*)::int as n from agenda`)[0]?.n;
  const before = await count();
  await refused(413, `{"customerId":"${customerId}","title":"${'x'.repeat(40_000_000)}"}`);
  await refused(422, of(...Array.from({ length: 501 }, (_, n) => witness(`n${n}`))), '500');
  await refused(400, '{"customerId":');
  await refused(422, of(witness('a', { until: '@<nobody.out>' })), 'nobody');
  await refused(422, of(witness('a', {}, { dependsOn: ['b'] }), witness('b', {}, { dependsOn: ['a'] })));
  await refused(422, of(witness('a', {}, { dependsOn: ['a'] })));
  await refused(422, { ...of(witness('a')), customerId: 'nobody' });
  await refused(422, of({ name: 'a', type: 7 }));
  expect(await count()).toBe(before);
  await it.allSucceed([await it.submit([witness('after all that')])]);
  await it.prove();
});

import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { OwnPool } from './own-pool.ts';
import { countQueued, withRecord } from './record.ts';
import {
  done,
  ended,
  mostAtOnce,
  newTenant,
  type OperationProgress,
  operationOf,
  operator,
  progressOf,
  resultOf,
  run,
  sample,
  sleeping,
  submit,
  system,
  until,
} from './running-system.ts';

test('row 61: independent Operations run side by side', async () => {
  const progress = await run(await newTenant(), {
    operations: [sample('a', sleeping(5000)), sample('b', sleeping(5000))],
  });
  expect(progress.processingStateMessage).toBe('succeeded');
  expect(mostAtOnce(progress.operationProgress)).toBe(2);
  const seconds = progress.operationProgress.map(
    ({ startedTime, completedTime }: OperationProgress) => (completedTime - startedTime) / 1000,
  );
  for (const each of seconds) expect(each).toBeGreaterThanOrEqual(5);
  // Well under both one after the other, however slow the machine.
  expect((progress.completedTime - progress.startedTime) / 1000).toBeLessThan(0.9 * (seconds[0] + seconds[1]));
});

test('row 62: a reference makes its Operation wait, and brings the value', async () => {
  const progress = await run(await newTenant(), {
    operations: [
      sample('consumer', { resultPayload: { got: '@<producer.out::/made>' } }),
      sample('producer', { ...sleeping(500), resultPayload: { made: { width: 720 } } }),
    ],
  });
  expect(resultOf(progress, 'consumer')).toEqual({ got: { width: 720 } });
  expect(operationOf(progress, 'consumer').startedTime).toBeGreaterThanOrEqual(
    operationOf(progress, 'producer').completedTime,
  );
});

test('row 63: dependsOn orders without data, as list and as text', async () => {
  const progress = await run(await newTenant(), {
    operations: [
      sample('third', {}, { dependsOn: ['second'] }),
      sample('second', {}, { params: { dependsOn: 'first, beside' } }),
      sample('first', sleeping(500)),
      sample('beside'),
    ],
  });
  expect(progress.processingStateMessage).toBe('succeeded');
  const [first, beside, second, third] = ['first', 'beside', 'second', 'third'].map((name) =>
    operationOf(progress, name),
  );
  expect(second?.startedTime).toBeGreaterThanOrEqual(Math.max(first?.completedTime ?? 0, beside?.completedTime ?? 0));
  expect(third?.startedTime).toBeGreaterThanOrEqual(second?.completedTime ?? 0);
});

/** Operations whose results the reference vectors speak of. */
const context = [
  sample('mediainfo.1', { resultPayload: { mediaProperties: { width: 720, height: 480 } } }),
  sample('analysis.1', {
    resultPayload: {
      operations: [
        { id: 'encode', payload: { setting: 'value' } },
        { id: 'package', payload: { setting: 'value' } },
      ],
    },
  }),
  sample('text', { resultPayload: 'a value' }),
  sample('number', { resultPayload: 42 }),
  sample('a', { resultPayload: { s: 'v', n: 42, f: 1.5, t: true, z: null, o: { k: 1 }, l: [1, 2], 'we/ird': 'w' } }),
  sample('asPayload', { resultPayload: { resultPayload: { brought: true } } }),
];

/** Runs an Operation that returns what it was given, after those of the context. */
async function echo(given: unknown, more: readonly object[] = []) {
  return run(await newTenant(), {
    operations: [...context, sample('echo', { resultPayload: given }, { id: '7' }), ...more],
  });
}

test('row 64: references bring values of any type, parts of them, fallbacks and built-in values', async () => {
  const vectors: Readonly<Record<string, readonly [given: unknown, wanted: unknown]>> = {
    wholeOutput: ['@<mediainfo.1.out::/>', { mediaProperties: { width: 720, height: 480 } }],
    withoutPointer: ['@<mediainfo.1.out>', { mediaProperties: { width: 720, height: 480 } }],
    number: ['@<mediainfo.1.out::/mediaProperties/width>', 720],
    inArray: [
      ['@<analysis.1.out::/operations/1>', '@<analysis.1.out::/operations/0>'],
      [
        { id: 'package', payload: { setting: 'value' } },
        { id: 'encode', payload: { setting: 'value' } },
      ],
    ],
    arrayIndex: ['@<analysis.1.out::/operations/0/id>', 'encode'],
    bareText: ['@<text.out>', 'a value'],
    bareNumber: ['@<number.out>', 42],
    boolean: ['@<a.out::/t>', true],
    null: ['@<a.out::/z>', null],
    object: ['@<a.out::/o>', { k: 1 }],
    fraction: ['@<a.out::/f>', 1.5],
    index: ['@<a.out::/l/1>', 2],
    fallbackText: ['@<a.out::/nope?dflt>', 'dflt'],
    fallbackIsText: ['@<a.out::/nope?12>', '12'],
    fallbackNull: ['@<a.out::/nope?>', null],
    fallbackUnused: ['@<text.out?zz>', 'a value'],
    escape: ['@<a.out::/we~1ird>', 'w'],
    withoutSlash: ['@<a.out::s>', 'v'],
    key: [{ '@<text.out>': 1 }, { '@<text.out>': 1 }],
    noName: ['@<>', '@<>'],
    noToken: ['price @< 5', 'price @< 5'],
    nested: [{ deep: [{ deeper: ['@<a.out::/l>'] }] }, { deep: [{ deeper: [[1, 2]] }] }],
    operationName: ['@<pop.operationName>', 'echo'],
  };
  const given = Object.fromEntries(Object.entries(vectors).map(([name, [value]]) => [name, value]));
  const progress = await echo({ ...given, agendaId: '@<pop.agendaId>' }, [
    { name: 'bare', type: 'sample', payload: '@<asPayload.out>' },
  ]);
  const wanted = Object.fromEntries(Object.entries(vectors).map(([name, [, value]]) => [name, value]));
  expect(progress.diagnosticEvents).toBeUndefined();
  expect(resultOf(progress, 'echo')).toEqual({ ...wanted, agendaId: progress.agendaId });
  expect(resultOf(progress, 'bare')).toEqual({ brought: true });

  const absent = await echo('@<a.out::/nope>');
  expect(absent.processingStateMessage).toBe('failed');
  expect(operationOf(absent, 'echo').diagnosticEvents?.[0]?.message).toContain('@<a.out::/nope>');
});

test('row 65: references within text are put in as text, several of them, at both ends too', async () => {
  const vectors: Readonly<Record<string, readonly [given: string, wanted: unknown]>> = {
    amid: ['x@<text.out>y', 'xa valuey'],
    several: ['x@<a.out::/s>@<a.out::/n>y', 'xv42y'],
    bothEnds: ['@<a.out::/s>@<a.out::/n>', 'v42'],
    bothEndsApart: ['@<a.out::/s> and @<a.out::/n>', 'v and 42'],
    boolean: ['is @<a.out::/t>', 'is true'],
    null: ['is @<a.out::/z>', 'is null'],
    fallback: ['x @<a.out::/nope?dflt> y', 'x dflt y'],
    fraction: ['@<a.out::/f>!', '1.5!'],
    builtIn: ['in @<pop.operationName>.', 'in echo.'],
  };
  const progress = await echo(Object.fromEntries(Object.entries(vectors).map(([name, [value]]) => [name, value])));
  expect(progress.processingStateMessage).toBe('succeeded');
  expect(progress.diagnosticEvents).toBeUndefined();
  expect(resultOf(progress, 'echo')).toEqual(
    Object.fromEntries(Object.entries(vectors).map(([name, [, value]]) => [name, value])),
  );

  const container = await echo('x@<a.out::/o>');
  expect(container.processingStateMessage).toBe('failed');
  expect(operationOf(container, 'echo').diagnosticEvents?.[0]?.message).toContain('@<a.out::/o>');
});

test('row 66: no more Operations run at once than the Agenda or the pool worker allows', async () => {
  const six = Array.from({ length: 6 }, (_, index) => sample(`o${index}`, sleeping(700)));
  const ofAgenda = await run(await newTenant(), { parallelism: 2, operations: six });
  expect(ofAgenda.processingStateMessage).toBe('succeeded');
  expect(mostAtOnce(ofAgenda.operationProgress)).toBe(2);

  await using pool = await OwnPool.make();
  await pool.startWorker({ POP_CONCURRENCY: '2' });
  const ofWorker = await run(await newTenant({}, pool.id), { operations: six });
  expect(ofWorker.processingStateMessage).toBe('succeeded');
  expect(mostAtOnce(ofWorker.operationProgress)).toBe(2);
});

test('row 67: after a failure nothing new starts, what runs may end, the rest is skipped, all fails', async () => {
  const progress = await run(await newTenant(), {
    operations: [
      sample('top'),
      sample(
        'failing',
        { actions: [{ action: 'exception', paramsMap: { exceptionMessage: 'on purpose' } }] },
        { dependsOn: ['top'] },
      ),
      sample('sibling', { ...sleeping(3000), resultPayload: 'done' }, { dependsOn: ['top'] }),
      sample('bottom', {}, { dependsOn: ['failing', 'sibling'] }),
      sample('afterSibling', {}, { dependsOn: ['sibling'] }),
    ],
  });
  expect(progress).toMatchObject({
    ...{ processingState: 'COMPLETE', processingStateMessage: 'failed', outcome: 'failed', failing: true },
  });
  expect(operationOf(progress, 'failing')).toMatchObject({
    processingState: 'COMPLETE',
    processingStateMessage: 'failed',
    outcome: 'failed',
  });
  const sibling = operationOf(progress, 'sibling');
  expect(sibling).toMatchObject({
    processingState: 'COMPLETE',
    processingStateMessage: 'succeeded',
    resultPayload: '"done"',
  });
  expect(sibling.completedTime).toBeGreaterThan(operationOf(progress, 'failing').completedTime);
  for (const name of ['bottom', 'afterSibling']) {
    const skipped = operationOf(progress, name);
    expect(skipped).toMatchObject({
      ...{ processingState: 'COMPLETE', processingStateMessage: 'skipped', outcome: 'skipped', percentComplete: 0 },
      diagnosticEvents: [{ code: 'skipped', message: 'Not started: Operation failing failed' }],
    });
    expect(skipped).not.toHaveProperty('startedTime');
  }
});

test('row 68: a failed Operation tells why, with the last lines of its output', async () => {
  const lines = Array.from({ length: 15 }, (_, index) => ({
    action: 'log',
    paramsMap: { logMessage: `line ${index}` },
  }));
  const progress = await run(await newTenant(), {
    operations: [
      sample('a', { actions: [...lines, { action: 'exception', paramsMap: { exceptionMessage: 'it broke' } }] }),
    ],
  });
  const events = operationOf(progress, 'a').diagnosticEvents ?? [];
  expect(events[0]?.message).toBe('it broke');
  const tail = events.map(({ payload }) => payload).find(Array.isArray) as string[];
  expect(tail.length).toBeGreaterThan(0);
  expect(tail.length).toBeLessThanOrEqual(10);
  const { all } = await done(operator, 'GET', `/agenda/${progress.agendaId}/logs`);
  const printed = (all[0].output as string).split('\n').filter((line) => line.trim() !== '');
  expect(printed).toContain('line 14');
  expect(tail.map((line) => line.trim())).toEqual(printed.slice(-tail.length).map((line) => line.trim()));
  expect(progress.diagnosticEvents[0].message).toBe('Failed to complete operation: a: it broke');
});

test('row 69: a handler that reports nothing has failed', async () => {
  const progress = await run(await newTenant(), { operations: [{ name: 'a', type: 'silent' }] });
  expect(progress.processingStateMessage).toBe('failed');
  expect(operationOf(progress, 'a').diagnosticEvents?.map(({ message }) => message)).toContain(
    'No progress was reported.',
  );
});

test('row 70: a handler that falls silent, runs too long or is not started in time fails with a message', async () => {
  const tenant = await newTenant();
  const limits = [
    { operation: { name: 'quiet', type: 'quiet' }, code: 'quietLimit', message: 'quietSeconds = 2' },
    { operation: { name: 'talking', type: 'talking' }, code: 'runLimit', message: 'runSeconds = 2' },
    {
      operation: sample('ownQuiet', sleeping(60_000), { timeout: { quietSeconds: 0.5 } }),
      code: 'quietLimit',
      message: 'quietSeconds = 0.5',
    },
    // No process is up that soon.
    {
      operation: sample('notStarted', {}, { timeout: { scheduledSeconds: 0.001 } }),
      code: 'scheduledLimit',
      message: 'scheduledSeconds = 0.001',
    },
  ];
  const agendas = await Promise.all(limits.map(({ operation }) => submit(tenant, { operations: [operation] })));
  for (const [index, { operation, code, message }] of limits.entries()) {
    const progress = await ended(tenant, agendas[index]);
    expect(progress.processingStateMessage, operation.name).toBe('failed');
    expect(operationOf(progress, operation.name).diagnosticEvents).toContainEqual(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  }
});

test('row 73: logMessages are in the log of the control worker, and no handler runs', async () => {
  const messages = ['first of two', 'second of two'];
  const tenant = await newTenant();
  const agenda = await submit(tenant, {
    operations: [{ name: 'say', type: 'logMessages', payload: { logMessages: messages } }],
  });
  const progress = await ended(tenant, agenda);
  expect(resultOf(progress, 'say')).toEqual({ logged: 2 });
  const lines = await until('the log has both', async () => {
    const found = (await readFile(system.controlLog, 'utf8')).split('\n').filter((line) => line.includes(agenda.cid));
    return messages.every((message) => found.some((line) => line.includes(message))) ? found : undefined;
  });
  expect(lines.length).toBeGreaterThanOrEqual(2);
  expect((await done(tenant.send, 'GET', `/agenda/${agenda.id}/logs`)).all).toEqual([]);
});

test('row 76: an Operation of an unknown type is refused, or fails and says so where nobody could know', async () => {
  const { send, customerId } = await newTenant();
  const operations = [sample('good'), { name: 'a', type: 'sampel' }];
  const refused = await send('POST', '/agenda', { customerId, operations });
  expect(refused.status).toBe(422);
  expect(refused.body.errors).toMatchObject([{ pointer: '/operations/1/type', code: 'unknownOperationType' }]);
  expect(refused.body.detail).toMatch(/"sampel".*"sample"/);

  // No pool worker has told of its types yet.
  await using pool = await OwnPool.make();
  const early = await newTenant({}, pool.id);
  const agenda = await submit(early, { operations: [{ name: 'a', type: 'nobodyKnows' }] });
  expect(agenda.warnings).toMatchObject([{ code: 'typesNotChecked' }]);
  await pool.startWorker();
  const progress = await ended(early, agenda);
  expect(progress.processingStateMessage).toBe('failed');
  expect(operationOf(progress, 'a')).toMatchObject({ failureCode: 'unknownOperationType' });
  expect(operationOf(progress, 'a').diagnosticEvents?.[0]?.message).toMatch(/No handler.*nobodyKnows/);
});

test('row X9: an Agenda whose start fails runs later', async () => {
  // Nobody serves the pool yet: the Agenda is accepted and waits for a pool worker.
  await using pool = await OwnPool.make();
  const served = await newTenant({}, pool.id);
  const early = await submit(served, { operations: [sample('a', { resultPayload: 'early' })] });
  await until('it is admitted', () =>
    withRecord(async (sql) => ((await countQueued(sql, [early.id])).admitted === 1 ? true : undefined)),
  );
  await pool.startWorker();
  expect(resultOf(await ended(served, early), 'a')).toBe('early');

  // The launcher's place is not usable: a file stands where its directory was.
  const tenant = await newTenant();
  const aside = `${system.runDirectory}.aside`;
  await rename(system.runDirectory, aside);
  await writeFile(system.runDirectory, '');
  const agenda = await submit(tenant, { operations: [sample('a', { resultPayload: 'late' })] });
  try {
    const { reason } = await until(
      'it says why it cannot start',
      async () => operationOf(await progressOf(tenant, agenda), 'a').blocked,
    );
    expect(reason).toContain('ENOTDIR');
    expect((await progressOf(tenant, agenda)).processingState).not.toBe('COMPLETE');
  } finally {
    await rm(system.runDirectory);
    await rename(aside, system.runDirectory);
  }
  const progress = await ended(tenant, agenda);
  expect(progress).toMatchObject({ processingStateMessage: 'succeeded', attemptsCompleted: 1 });
  expect(resultOf(progress, 'a')).toBe('late');
});

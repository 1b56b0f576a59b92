import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodesOnCycles } from './cycles.ts';
import { dependenciesOf } from './dependencies.ts';
import type { Agenda, Json, Operation } from './types.ts';
import { type AgendaLimits, maximumAttemptsOf, validateAgenda as validate } from './validate-agenda.ts';

/** Every fault, also those beyond the ones an answer tells. */
const validateAgenda = (agenda: Agenda, limits: AgendaLimits = {}) =>
  validate(agenda, { mostFaults: 1_000_000, ...limits }).first;
const operation = (name: string, more: Partial<Operation> = {}): Operation => ({ name, type: 'sample', ...more });
const agenda = (...operations: Operation[]): Agenda => ({ customerId: 'c', operations });
const faults = (...operations: Operation[]) => validateAgenda(agenda(...operations));
const brief = (list: readonly { code: string; pointer: string }[]) =>
  list.map(({ code, pointer }) => `${code} ${pointer}`);

describe('dependencies', () => {
  test('come from references, dependsOn and the comma list, each once, by exact case', () => {
    const operations = [
      operation('a'),
      operation('b', { payload: { x: ['@<a.out::/y>', 'text @<a.out>', '@<pop.agendaId> @<pop.operationName>'] } }),
      operation('c', { dependsOn: ['b'], params: { dependsOn: ' a , b,, ' } }),
      operation('d', { dependsOn: ['A', 'zz'], payload: '@<B.out>' }),
      operation('x.out', { payload: '@<c.out>' }),
      operation('e', { payload: '@<x.out.out>' }),
    ];
    expect(dependenciesOf(operations)).toEqual([[], [0], [0, 1], [], [2], [4]]);
  });
});

describe('an Agenda that can run has no faults', () => {
  test('with references, fallbacks and built-in tokens', () => {
    expect(
      validateAgenda({
        ...agenda(
          operation('a', { weight: 0.5, timeout: { runSeconds: 60 } }),
          operation('b', { payload: '@<a.out::/x?no> of @<pop.agendaId>', dependsOn: ['a'] }),
        ),
        parallelism: 200,
        params: { maximumAttempts: '5', doNotRun: true },
      }),
    ).toEqual([]);
  });

  test('with every optional field null', () => {
    const nulls = { id: null, payload: null, params: null, dependsOn: null, weight: null, timeout: null };
    const body = {
      customerId: 'c',
      title: null,
      linkId: null,
      progressId: null,
      params: null,
      parallelism: null,
      operations: [{ name: 'a', type: 't', ...nulls }],
    };
    expect(validateAgenda(body as unknown as Agenda)).toEqual([]);
  });
});

describe('Operations', () => {
  test('there must be one', () => {
    expect(faults()).toEqual([
      { pointer: '/operations', code: 'noOperations', message: 'No operations specified in Agenda.' },
    ]);
    expect(brief(validateAgenda({ customerId: 'c' } as unknown as Agenda))).toEqual(['noOperations /operations']);
    const list = { customerId: 'c', operations: {} } as unknown as Agenda;
    expect(validateAgenda(list)).toEqual([
      { pointer: '/operations', code: 'operationsInvalid', message: 'operations must be a list; it is an object.' },
    ]);
  });

  test('more than the limit are refused with both numbers', () => {
    const many = Array.from({ length: 501 }, (_, index) => operation(`o${index}`));
    expect(faults(...many)).toEqual([
      {
        pointer: '/operations',
        code: 'tooManyOperations',
        message: 'An Agenda may have 500 Operations; this one has 501.',
      },
    ]);
    expect(faults(...many.slice(1))).toEqual([]);
  });

  test('need names and types that fit', () => {
    const list = [
      { type: 't' },
      { name: ' ', type: '' },
      { name: 7, type: null },
      'no',
      null,
      operation('x'.repeat(129)),
      operation('nul\u0000'),
      operation('\ud800'),
      operation('ok', { type: 'a\nb' }),
    ];
    expect(brief(faults(...(list as Operation[])))).toEqual([
      'operationNameMissing /operations/0/name',
      'operationNameMissing /operations/1/name',
      'operationTypeMissing /operations/1/type',
      'operationNameInvalid /operations/2/name',
      'operationTypeMissing /operations/2/type',
      'operationMalformed /operations/3',
      'operationMalformed /operations/4',
      'operationNameTooLong /operations/5/name',
      'operationNameMalformed /operations/6/name',
      'operationNameMalformed /operations/7/name',
      'operationTypeMalformed /operations/8/type',
    ]);
  });

  test('are told apart ignoring case', () => {
    const [fault, ...others] = faults(operation('x'), operation('y'), operation('X'));
    expect(others).toEqual([]);
    expect(fault).toMatchObject({ pointer: '/operations/2/name', code: 'operationNameDuplicate' });
    expect(fault?.message).toMatch(/^Operation names must be unique\. \[X\].*\[x\]/);
  });

  test('bad numbers are named', () => {
    const bad = {
      ...agenda(
        operation('a', { weight: 0, timeout: { runSeconds: -1, quietSeconds: Number.NaN } }),
        operation('b', { weight: Number.POSITIVE_INFINITY, timeout: [] as never }),
      ),
      parallelism: 201,
    };
    expect(brief(validateAgenda(bad))).toEqual([
      'parallelismInvalid /parallelism',
      'weightInvalid /operations/0/weight',
      'timeoutInvalid /operations/0/timeout/quietSeconds',
      'timeoutInvalid /operations/0/timeout/runSeconds',
      'weightInvalid /operations/1/weight',
      'timeoutInvalid /operations/1/timeout',
    ]);
    for (const parallelism of [0, 1.5, '3' as never])
      expect(brief(validateAgenda({ ...agenda(operation('a')), parallelism }))).toEqual([
        'parallelismInvalid /parallelism',
      ]);
  });

  test('maximumAttempts is an integer from 1 up, as a number or as text, and more than 20 counts as 20', () => {
    for (const maximumAttempts of [1, 20, 50, '3', null])
      expect(validateAgenda({ ...agenda(operation('a')), params: { maximumAttempts } })).toEqual([]);
    for (const maximumAttempts of [0, 1.5, 'x', '', true, [], '1e1'] as Json[]) {
      expect(brief(validateAgenda({ ...agenda(operation('a')), params: { maximumAttempts } }))).toEqual([
        'maximumAttemptsInvalid /params/maximumAttempts',
      ]);
    }
    expect([
      maximumAttemptsOf(undefined),
      maximumAttemptsOf({ maximumAttempts: '7' }),
      maximumAttemptsOf({ maximumAttempts: 50 }),
    ]).toEqual([3, 7, 20]);
  });
});

describe('references', () => {
  test('to unknown Operations are refused naming Operation and reference', () => {
    expect(faults(operation('x', { payload: { y: ['@<zz.out::/a>'] } }))).toEqual([
      {
        pointer: '/operations/0/payload/y/0',
        code: 'unknownReference',
        message: 'Invalid references found in operation [x] payload: @<zz.out::/a>',
      },
    ]);
    expect(
      brief(faults(operation('a'), operation('b', { payload: ['@<A.out>', '@<a>', '@<.out>', '@<other>'] }))),
    ).toEqual([
      'unknownReference /operations/1/payload/0',
      'unknownReference /operations/1/payload/1',
      'unknownReference /operations/1/payload/2',
      'unknownReference /operations/1/payload/3',
    ]);
  });

  test('each bad one of many is reported', () => {
    const list = Array.from({ length: 15 }, (_, index) => operation(`o${index}`, { payload: '@<zz.out>' }));
    expect(faults(...list)).toHaveLength(15);
  });

  test('unresolved template tokens are refused wherever they stand', () => {
    const body = {
      ...agenda(
        operation('a', { payload: '@<pop.payload::/a>', params: { k: 'x @<pop.payload>' } }),
        operation('b', { payload: ['@<pop.unknown>'] }),
      ),
      linkId: '@<pop.transformRequest::/linkId>',
    };
    expect(brief(validateAgenda(body))).toEqual([
      'unresolvedToken /linkId',
      'unresolvedToken /operations/0/payload',
      'unresolvedToken /operations/0/params/k',
      'unresolvedToken /operations/1/payload/0',
    ]);
  });

  test('unknown and malformed dependsOn are refused', () => {
    const list = [
      operation('a', { dependsOn: ['zz', 7 as never], params: { dependsOn: 'a b, yy' } }),
      operation('b', { dependsOn: 'a' as never, params: { dependsOn: ['a'] } }),
    ];
    expect(brief(faults(...list))).toEqual([
      'dependsOnMalformed /operations/0/dependsOn/1',
      'unknownDependency /operations/0/dependsOn/0',
      'unknownDependency /operations/0/params/dependsOn',
      'unknownDependency /operations/0/params/dependsOn',
      'dependsOnMalformed /operations/1/dependsOn',
      'dependsOnMalformed /operations/1/params/dependsOn',
    ]);
  });
});

describe('payloads', () => {
  test('over the limit are refused with both numbers, in bytes', () => {
    const [fault, ...others] = faults(operation('a', { payload: 'ü'.repeat(520_000) }));
    expect(others).toEqual([]);
    expect(fault).toEqual({
      pointer: '/operations/0/payload',
      code: 'payloadTooLarge',
      message: 'The payload of operation [a] has 1040002 bytes; the limit is 1032192.',
    });
  });

  test('and params nested too deep are refused where it happens, without overflow', () => {
    const deep = JSON.parse(`${'[{"k":'.repeat(40_000)}1${'}]'.repeat(40_000)}`) as Json;
    const list = brief(
      validateAgenda({
        ...agenda(operation('a', { payload: { x: 1, y: deep }, params: { z: deep } })),
        params: { p: deep },
      }),
    );
    expect(list).toEqual([
      `paramsTooDeep /params/p${'/0/k'.repeat(15)}/0`,
      `paramsTooDeep /operations/0/params/z${'/0/k'.repeat(15)}/0`,
      `payloadTooDeep /operations/0/payload/y${'/0/k'.repeat(15)}/0`,
    ]);
  });

  test('with more bad references than a call may have arguments do no harm', () => {
    const { first, total } = validate(agenda(operation('a', { payload: Array(140_000).fill('@<x>') })));
    expect({ told: first.length, total }).toEqual({ told: 10, total: 140_000 });
  });
});

describe('what no Agenda should be', () => {
  const field = fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    fc.constantFrom({ toString: 1, valueOf: 2 }, '@<a.out>', '@<pop.payload>', 'a', 'a,b', ['a'], Number.NaN),
  );
  const fields = (...names: string[]) =>
    fc.record(Object.fromEntries(names.map((name) => [name, field])), { requiredKeys: [] });
  const strangeOperation = fc.oneof(
    field,
    fields('name', 'type', 'payload', 'params', 'dependsOn', 'weight', 'timeout'),
  );
  const strangeParams = fc.oneof(field, fields('dependsOn', 'maximumAttempts'));

  test('is answered with faults, never with an exception', () => {
    const strange = fc.tuple(
      fields('customerId', 'title', 'linkId', 'progressId', 'parallelism'),
      strangeParams,
      fc.oneof(field, fc.array(strangeOperation)),
    );
    fc.assert(
      fc.property(strange, ([body, params, operations]) => {
        expect(Array.isArray(validateAgenda({ ...body, params, operations } as unknown as Agenda))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('does not fill messages with what was sent', () => {
    const long = 'x'.repeat(100_000);
    const list = faults(
      operation(long, { payload: `@<${long}.out>`, dependsOn: [long, `y${long}`] }),
      operation(long),
      operation(JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)),
    );
    expect(list.length).toBeGreaterThan(5);
    for (const { message } of list) expect(message.length).toBeLessThan(700);
  });
});

describe('circles', () => {
  const circular = (...operations: Operation[]) =>
    faults(...operations).map(({ code, message }) =>
      code === 'circularReference'
        ? message.replace('There is a circular reference involving the operation: ', '')
        : code,
    );

  test('of references and dependsOn name every Operation on them and no other', () => {
    expect(
      circular(
        operation('before'),
        operation('a', { payload: '@<b.out>' }),
        operation('b', { dependsOn: ['a', 'before'] }),
        operation('after', { dependsOn: ['b'] }),
      ),
    ).toEqual(['a', 'b']);
    expect(
      circular(
        operation('a', { params: { dependsOn: 'c' } }),
        operation('b', { payload: '@<a.out>' }),
        operation('c', { dependsOn: ['b'] }),
        operation('d', { payload: ['@<d.out>'] }),
      ),
    ).toEqual(['a', 'b', 'c', 'd']);
    expect(circular(operation('me', { dependsOn: ['me'] }))).toEqual(['me']);
  });

  test('are found exactly as by walking from every node', () => {
    const graph = fc
      .integer({ min: 1, max: 9 })
      .chain((count) =>
        fc.array(fc.array(fc.nat(count - 1), { maxLength: 3 }), { minLength: count, maxLength: count }),
      );
    fc.assert(
      fc.property(graph, (edges) => {
        const reaches = (from: number, to: number) => {
          const seen = new Set<number>();
          const open = [...(edges[from] ?? [])];
          for (let node = open.pop(); node !== undefined; node = open.pop()) {
            if (node === to) return true;
            if (!seen.has(node)) open.push(...(edges[node] ?? []));
            seen.add(node);
          }
          return false;
        };
        expect(nodesOnCycles(edges)).toEqual(edges.map((_, index) => index).filter((index) => reaches(index, index)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('work', () => {
  /** Counts reads of fields and elements anywhere inside a value. */
  const counted = <T extends object>(value: T): { value: T; reads: () => number } => {
    let reads = 0;
    const wrap = (target: unknown): unknown =>
      target === null || typeof target !== 'object'
        ? target
        : new Proxy(target, {
            get: (inner, key) => {
              reads += 1;
              return wrap(Reflect.get(inner, key));
            },
          });
    return { value: wrap(value) as T, reads: () => reads };
  };
  const chain = (count: number) =>
    agenda(
      ...Array.from({ length: count }, (_, index) =>
        operation(`o${index}`, {
          payload: index === 0 ? {} : { from: `@<o${index - 1}.out>` },
          dependsOn: index < 2 ? [] : ['o0'],
        }),
      ),
    );
  const fan = (count: number) =>
    agenda(
      operation('o0'),
      ...Array.from({ length: count - 2 }, (_, index) => operation(`o${index + 1}`, { dependsOn: ['o0'] })),
      operation('last', { payload: Array.from({ length: count - 2 }, (_, index) => `@<o${index + 1}.out>`) }),
    );

  test.each([
    ['a chain', chain],
    ['a fan', fan],
  ])('of validating %s grows as its Operations do', (_, shape) => {
    const reads = (count: number) => {
      const { value, reads } = counted(shape(count));
      expect(validateAgenda(value, { maximumOperations: 10_000 })).toEqual([]);
      return reads();
    };
    const [small, large] = [reads(1_000), reads(10_000)];
    expect(small).toBeGreaterThan(1_000);
    expect(large / small).toBeGreaterThan(9);
    expect(large / small).toBeLessThan(11);
  });

  test('of looking for circles grows as the edges do', () => {
    const reads = (count: number) => {
      const { value, reads } = counted(
        Array.from({ length: count }, (_, index) => [(index + 1) % count, (index * 7) % count]),
      );
      expect(nodesOnCycles(value)).toHaveLength(count);
      return reads();
    };
    expect(reads(10_000) / reads(1_000)).toBeLessThan(11);
  });

  test('a circle of 10,000 is found whole', () => {
    const operations = [...chain(10_000).operations];
    operations[0] = operation('o0', { dependsOn: ['o9999'] });
    expect(validateAgenda({ customerId: 'c', operations }, { maximumOperations: 10_000 })).toHaveLength(10_000);
  });
});

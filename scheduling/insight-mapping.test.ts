import { describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../agenda/types.ts';
import { chooseInsight, type MappedInsight, validateMappers } from './insight-mapping.ts';

const insight = (id: string, mappers: MappedInsight['mappers'], more: Partial<MappedInsight> = {}): MappedInsight => ({
  id,
  title: `Title ${id}`,
  order: 0,
  addedTime: 0,
  customerId: 'owner',
  isGlobal: true,
  allowedCustomerIds: [],
  mappers,
  ...more,
});
const agenda = {
  params: { tier: 'Gold', count: 3, flag: true } as JsonObject,
  operations: [
    { name: 'Probe', type: 'mediaInfo', params: { Codec: 'h=264' } as JsonObject },
    { name: 'b', type: 'sample' },
  ],
};
const choose = (insights: readonly MappedInsight[], params: JsonObject = agenda.params, customerId = 'Acme') =>
  chooseInsight({ agenda: { ...agenda, params }, customerId, insights });
const chosen = (insightId: string) => ({ kind: 'chosen', insightId });

describe('a mapper matches', () => {
  test.each<[string, string]>([
    ['operationName', 'pROBE'],
    ['operationType', 'SAMPLE'],
    ['OPERATIONTYPE', 'mediainfo'],
    ['paramMap', 'TIER=gold'],
    ['paramMap', ' tier = Gold '],
    ['paramMap', 'codec=H=264'],
    ['paramMap', 'count=3'],
    ['paramMap', 'flag=TRUE'],
    ['customerId', 'acme'],
  ])('%s with %s', (mapper, value) => {
    expect(choose([insight('i', { [mapper]: ['other', value] })])).toEqual(chosen('i'));
  });

  test('always, whatever its values', () => {
    expect(choose([insight('i', { always: [] })])).toEqual(chosen('i'));
    expect(choose([insight('i', { Always: ['true'] })])).toEqual(chosen('i'));
  });

  test('when any of several does', () => {
    expect(choose([insight('i', { operationName: ['x'], paramMap: ['tier=silver', 'tier=gold'] })])).toEqual(
      chosen('i'),
    );
  });
});

test.each<[string, string]>([
  ['operationName', 'Prob'],
  ['operationType', 'Probe'],
  ['paramMap', 'tier=gol'],
  ['paramMap', 'tier='],
  ['paramMap', '=gold'],
  ['paramMap', 'tier'],
  ['paramMap', 'constructor=x'],
  ['customerId', 'other'],
  ['agendaTemplate', 'x'],
  ['constructor', 'x'],
])('%s with %s matches nothing and breaks nothing', (mapper, value) => {
  expect(
    choose([insight('bad', { [mapper]: [value] }), insight('good', { operationType: ['sample'] }, { order: 1 })]),
  ).toEqual(chosen('good'));
});

describe('who may use an Insight', () => {
  const restricted = insight('i', { always: [] }, { isGlobal: false, allowedCustomerIds: ['acme'] });

  test('its owner, by exact case, and those allowed, ignoring case', () => {
    expect(choose([restricted])).toEqual(chosen('i'));
    expect(choose([restricted], {}, 'owner')).toEqual(chosen('i'));
    expect(choose([restricted], {}, 'Owner')).toEqual({ kind: 'none' });
    expect(choose([restricted], {}, 'B')).toEqual({ kind: 'none' });
  });

  test('an Insight without mappers is used by nobody', () => {
    expect(choose([insight('i', {})])).toEqual({ kind: 'none' });
    expect(choose([])).toEqual({ kind: 'none' });
  });
});

describe('several Insights match', () => {
  const all = { always: [] };

  test('the smallest order, then the oldest, then the smallest id', () => {
    const list = [
      insight('c', all, { order: 1, addedTime: new Date(0) }),
      insight('z', all, { addedTime: new Date(2_000) }),
      insight('b', all, { addedTime: '1970-01-01T00:00:01Z' }),
      insight('a', all, { addedTime: 1_000 }),
    ];
    expect(choose(list)).toEqual(chosen('a'));
    expect(choose(list.toReversed())).toEqual(chosen('a'));
    expect(choose(list.slice(0, 3))).toEqual(chosen('b'));
    expect(choose(list.slice(0, 2))).toEqual(chosen('z'));
    expect(list.map(({ id }) => id)).toEqual(['c', 'z', 'b', 'a']);
  });

  test('defaultInsight prefers one by title or id, ignoring case', () => {
    const list = [insight('a', all, { order: -1 }), insight('B', all)];
    for (const defaultInsight of ['b', 'TITLE b', ' title B '])
      expect(choose(list, { defaultInsight })).toEqual(chosen('B'));
    for (const defaultInsight of ['', ' ', null] as Json[])
      expect(choose(list, { defaultInsight })).toEqual(chosen('a'));
  });

  test('a defaultInsight that does not match, or may not be used, is told', () => {
    const list = [
      insight('a', all),
      insight('no', { operationType: ['other'] }),
      insight('theirs', all, { isGlobal: false }),
    ];
    for (const defaultInsight of ['no', 'theirs', 'unknown']) {
      expect(choose(list, { defaultInsight })).toEqual({ kind: 'defaultInsightDoesNotMatch', defaultInsight });
    }
  });
});

describe('saving mappers', () => {
  test('good ones have no faults', () => {
    expect(validateMappers({}).total).toBe(0);
    expect(
      validateMappers({
        operationName: ['a'],
        OperationType: ['b', 'c'],
        paramMap: ['k=v', ' k = a=b '],
        customerId: ['x'],
        always: [],
      }).total,
    ).toBe(0);
    expect(validateMappers({ always: ['true'] }).total).toBe(0);
  });

  test('the first faults are told with their places, the rest is counted', () => {
    const faults = validateMappers({
      paramMap: ['k=', '=v', 'k', 'k=v', ' = ', '', 7],
      operationName: [],
      operationType: 'sample',
      customerId: [' '],
      always: ['no'],
      'agenda/Template': ['x'],
    });
    expect(faults.total).toBe(11);
    expect(faults.first.map(({ code, pointer }) => `${code} ${pointer}`)).toEqual([
      'mapperValueMalformed /mappers/paramMap/0',
      'mapperValueMalformed /mappers/paramMap/1',
      'mapperValueMalformed /mappers/paramMap/2',
      'mapperValueMalformed /mappers/paramMap/4',
      'mapperValueMalformed /mappers/paramMap/5',
      'mapperValueMalformed /mappers/paramMap/6',
      'mapperEmpty /mappers/operationName',
      'mapperMalformed /mappers/operationType',
      'mapperValueMalformed /mappers/customerId/0',
      'mapperValueMalformed /mappers/always/0',
    ]);
    expect(validateMappers({ 'agenda/Template': ['x'] }).first).toMatchObject([
      { code: 'mapperUnknown', pointer: '/mappers/agenda~1Template' },
    ]);
    for (const mappers of [null, [], 'x', undefined])
      expect(validateMappers(mappers).first.map(({ code }) => code)).toEqual(['mappersMalformed']);
  });
});

import { expect, test } from 'vitest';
import { readFields } from './fields.ts';
import { intermediatePath } from './intermediate-path.ts';

const operation = {
  agendaId: 'agenda-1',
  customerId: 'cust',
  operationId: 'id',
  operationName: 'scan.1',
  progressId: 'p',
  cid: 'c',
  attempt: 2,
};
const of = (path: string, required?: string, facts = operation, more = {}) =>
  intermediatePath(
    readFields([], {
      POP_HANDLER_INTERMEDIATE_PATH: path,
      ...(required !== undefined && { 'pop.handler.intermediate.requiredPathTokens': required }),
    }),
    facts,
    more,
  );

test('tokens are filled in, ours and POP’s, and those of the handler', () => {
  expect(of('/mnt/{customerId}/{agendaId}/{operationName}')).toBe('/mnt/cust/agenda-1/scan.1');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: tokens may be written like this, too
  expect(of('/mnt/${customer}/${agenda}/{operation}-{attempt}', 'customer,agenda')).toBe('/mnt/cust/agenda-1/scan.1-2');
  expect(of('/mnt/{agendaId}/{operationName}/{part}', undefined, operation, { part: 'b' })).toBe(
    '/mnt/agenda-1/scan.1/b',
  );
});

test('a value is one folder, whatever it holds', () => {
  const path = '/mnt/{agendaId}/{operationName}';
  expect(of(path, undefined, { ...operation, agendaId: '../x', operationName: '..' })).toBe('/mnt/..%2Fx/%2E%2E');
});

test('what would be shared by Agendas, is not known or is empty fails', () => {
  expect(() => of('/mnt/{agendaId}')).toThrow(/lacks the token \{operationName\}/);
  expect(() => of('/mnt/{agendaId}/{operationName}', 'customer')).toThrow(/lacks the token \{customer\}/);
  expect(() => of('/mnt/{agendaId}/{operationName}/{city}')).toThrow(/\{city\}, which nobody knows/);
  expect(() => of('/mnt/{agendaId}/{operationName}', undefined, { ...operation, agendaId: '' })).toThrow(/empty here/);
  expect(() => intermediatePath(readFields([], {}), operation)).toThrow(/"pop.handler.intermediate.path" is not set/);
});

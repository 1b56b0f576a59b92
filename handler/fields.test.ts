import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readFields } from './fields.ts';
import { readFacts, readLastProgress, readPayload } from './inputs.ts';

let folder: string;
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pop-fields-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('an argument comes before the environment, and that before a property', () => {
  const propFile = file('p.properties', 'region = of property\nAGENDA_ID = agenda of property\nCID=x');
  const region = (parameters: string[], environment = {}) =>
    readFields(['-propFile', propFile, ...parameters], environment).get('region');
  const content = file('region.txt', 'of file');
  expect(region(['-regionFile', content, '-region', 'of argument'], { region: 'of variable' })).toBe('of file');
  expect(region(['-region', 'of argument'], { region: 'of variable' })).toBe('of argument');
  expect(region([], { region: 'of variable', REGION: 'in capitals' })).toBe('of variable');
  expect(region([], { REGION: 'in capitals' })).toBe('in capitals');
  expect(region([], { REGION: '' })).toBe('of property');
  expect(readFields([], {}).get('region')).toBeUndefined();
  const fields = readFields(['-propFile', propFile], { AGENDA_ID: 'agenda of variable', POP_WORK_PATH: '/work' });
  expect(readFacts(fields)).toMatchObject({ agendaId: 'agenda of variable', cid: 'x', customerId: '', attempt: 1 });
  expect(fields.get('pop.work.path')).toBe('/work');
  expect(readFields([], { WORK_PATH: '/work' }).get('workPath')).toBe('/work');
});

test('payload and last progress come by property where nothing else tells them', () => {
  const propFile = file('p.properties', 'PAYLOAD={"of":"property"}\nLAST_PROGRESS={"params":{"a":1}}');
  const fields = (environment: Record<string, string>) => readFields(['-propFile', propFile], environment);
  expect(readPayload(fields({}))).toEqual({ of: 'property' });
  expect(readPayload(fields({ PAYLOAD: '{"of":"variable"}' }))).toEqual({ of: 'variable' });
  expect(readLastProgress(fields({}))).toEqual({ params: { a: 1 } });
});

test('a property file that is named and missing is a fault; the usual one may be missing', () => {
  expect(() => readFields(['-propFile', join(folder, 'none')], {}).get('x')).toThrow(/ENOENT/);
  expect(readFields([], {}).property('x')).toBeUndefined();
});

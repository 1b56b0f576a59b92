/** Bodies made to keep the process busy or to end it: all customers share it. */
import { expect, test } from 'vitest';
import { maximumOperations } from '../../agenda/types.ts';
import { checkAgenda } from '../agenda/check-agenda.ts';
import { maximumBodyValues, parseJson } from './json-body.ts';

const refusal = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error('it was accepted');
};

test.each(['[],', '{},', '1,', '"",', '"\\"",'])(
  'a list of more than a million %s is refused before it is parsed',
  async (entry) => {
    expect(await refusal(() => parseJson(`[${entry.repeat(maximumBodyValues)}1]`))).toMatchObject({
      code: 'payloadTooLarge',
    });
  },
);

test('what only looks like many values inside a string is no matter', async () => {
  const text = `${'[{,'.repeat(maximumBodyValues / 2)}\\"`;
  expect(await parseJson(JSON.stringify([text]))).toEqual([text]);
});

test.each([
  ['a string', '"'],
  ['a string of escapes', '"\\n'],
])('%s of megabytes that does not end is malformed, not an internal error', async (_, begin) => {
  expect(await refusal(() => parseJson(begin + 'a\\n'.repeat(10_000_000)))).toMatchObject({ code: 'malformedJson' });
});

test('an Agenda of far too many Operations has that one fault', async () => {
  const operations = Array(maximumOperations * 100).fill({});
  expect(await refusal(() => checkAgenda({ customerId: 'a', operations }))).toMatchObject({
    errors: [{ code: 'tooManyOperations' }],
  });
});

test('names that are alike for many thousand characters are refused in linear time', async () => {
  // Long keys of one length share one hash: a map of them compares each with all others.
  const operations = Array.from({ length: maximumOperations }, (_, index) => ({
    name: `${'n'.repeat(60_000)}${index + 100}`,
    type: 't',
  }));
  const begun = performance.now();
  expect(await refusal(() => checkAgenda({ customerId: 'a', operations }))).toMatchObject({ code: 'invalid' });
  expect(performance.now() - begun).toBeLessThan(4_000);
});

test('references beyond a number are refused instead of looked at one by one', async () => {
  const payload = '@<b.out>'.repeat(120_000);
  const operations = [
    { name: 'b', type: 't' },
    ...Array.from({ length: 30 }, (_, index) => ({ name: `a${index}`, type: 't', payload })),
  ];
  const { errors } = (await refusal(() => checkAgenda({ customerId: 'a', operations }))) as {
    errors: { code: string; pointer: string }[];
  };
  expect(new Set(errors.map((fault) => fault.code))).toEqual(new Set(['tooManyReferences']));
  expect(errors[0]?.pointer).toBe('/operations/2/payload');
});

test('a comma list longer than all names there can be is refused', async () => {
  const operations = [{ name: 'a', type: 't', params: { dependsOn: 'a,'.repeat(400_000) } }];
  expect(await refusal(() => checkAgenda({ customerId: 'a', operations }))).toMatchObject({
    errors: [{ pointer: '/operations/0/params/dependsOn', code: 'dependsOnMalformed' }],
  });
});

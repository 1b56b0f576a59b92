import { expect, test } from 'vitest';
import { residents } from './residents.ts';

const perform = (payload: Parameters<NonNullable<ReturnType<typeof residents.get>>>[0]) => {
  const said: string[] = [];
  const performed = residents.get('logMessages')?.(payload, { log: (message) => said.push(message) });
  return { ...performed, said };
};

test('logMessages says each message, others than text as JSON, and tells how many', () => {
  expect(perform({ logMessages: ['a', { b: 1 }] })).toEqual({ result: { logged: 2 }, said: ['a', '{"b":1}'] });
});

test.each([null, [], 'a', {}, { logMessages: 'a' }])('logMessages does not take %j', (payload) => {
  expect(perform(payload)).toMatchObject({ fault: { code: 'payloadInvalid' }, said: [] });
});

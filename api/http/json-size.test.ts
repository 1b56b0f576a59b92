import { expect, test } from 'vitest';
import { limitExceeded } from './json-size.ts';

const limits = { values: 30, checkedValues: 5, depth: 4, freeBytes: 40 };

test.each([
  ['[1,2,3,4]', undefined],
  ['[1,2,3,4,5]', 'checkedValues'],
  ['{"payload":[1,2,3,4,5,6,7,8]}', undefined],
  ['{"params":{"a":[1,2,3],"b":{"c":1}},"x":[1,2]}', undefined],
  ['{"params":{"a":[1,2,3],"b":{"c":1}},"x":[1,2,3]}', 'checkedValues'],
  ['{"payload":"no list","x":[1,2,3,4]}', 'checkedValues'],
  ['{"x":"payload","y":[1,2,3,4]}', 'checkedValues'],
  ['["payload",[1,2,3,4]]', 'checkedValues'],
  [`{"payload":[${Array(15).fill(1)}],"params":[${Array(15).fill(1)}]}`, 'values'],
  // Of a number one byte is certain.
  [`{"payload":[ ${Array(19).fill('1.0').join(' , ')} ],"x":1}`, undefined],
  [`{"payload":[ ${Array(20).fill('1.0').join(' , ')} ],"x":1}`, 'freeBytes'],
  [`{"payload":["${'\\u0041'.repeat(20)}",1]}`, undefined],
  [`{"params":{"${'x'.repeat(300)}":1,"a":1}}`, 'freeBytes'],
  ['{"payload":[[[]]]}', undefined],
  ['{"payload":[[[[]]]]}', 'depth'],
  ['"[[[[[[,,,,,,,,"', undefined],
  ['"\\"[[[[[["', undefined],
  ['"\\\\",[[[[[[', 'checkedValues'],
  ['"without an end [[[[[[[', undefined],
])('%s: %s', (text, limit) => {
  expect(limitExceeded(text, limits)).toBe(limit);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findJsonFault } from './json-position.ts';

test.each([
  ['{"a": x}', 1, 7, 'a value is expected, not "x"'],
  ['{\n  "a": 1,\n}', 3, 1, 'a name in double quotes is expected, not "}"'],
  ['{"a" 1}', 1, 6, '":" is expected, not "1"'],
  ['[1 2]', 1, 4, '"," or "]" is expected, not "2"'],
  ['[1,]', 1, 4, 'a value is expected, not "]"'],
  ['{"a": [1,\n 2', 2, 3, 'the text ends where "," or "]" is expected'],
  ['{} {}', 1, 4, 'the end is expected, not "{"'],
  ['"a\nb"', 1, 3, 'a string must not hold "\\n" here'],
  ['["a\\x"]', 1, 4, 'a string must not hold "\\\\" here'],
  ['"abc', 1, 5, 'the text ends inside a string'],
  ["{'a': 1}", 1, 2, 'a name in double quotes or "}" is expected, not "\'"'],
  ['{"ä": 😀}', 1, 7, 'a value is expected, not "😀"'],
  ['01', 1, 2, 'the end is expected, not "1"'],
])('%j is wrong at line %i column %i', (text, line, column, message) => {
  expect(() => JSON.parse(text)).toThrow();
  expect(findJsonFault(text)).toEqual({ line, column, message });
});

test('what comes before the fault is a beginning of JSON, and the fault lies within the text or at its end', () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.nat(),
      fc.constantFrom('', '}', ']', ',', ':', '"', 'x', '\\', '\u0001'),
      (json, at, insert) => {
        const cut = at % (json.length + 1);
        const text = json.slice(0, cut) + insert + json.slice(cut + 1);
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        fc.pre(!valid);
        const { line, column } = findJsonFault(text);
        const lines = text.split('\n');
        expect(line).toBeLessThanOrEqual(lines.length);
        expect(column).toBeGreaterThanOrEqual(1);
        expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1);
      },
    ),
    { numRuns: 2_000 },
  );
});

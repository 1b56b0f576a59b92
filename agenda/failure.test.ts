import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { failureCodes, failureOf, isFailureCode, toldFailure } from './failure.ts';
import { failureCategories } from './outcomes.ts';

describe('the closed list of failures', () => {
  const document = readFileSync(new URL('../docs/failures.md', import.meta.url), 'utf8');
  const documented = [...document.matchAll(/^\| `(\w+)` +\| `(\w+)` +\| .+ \| (?:yes|no) +\|$/gm)].map(
    ([, category, code]) => [code, category],
  );

  test('is the table of docs/failures.md: each code once, in its category', () => {
    expect(documented).toEqual(Object.entries(failureCodes));
  });

  test('has codes for every category', () => {
    expect(new Set(Object.values(failureCodes))).toEqual(new Set(failureCategories));
  });
});

describe('a failure as a pool worker tells it', () => {
  test.each([
    [
      'a known code goes by the list, whatever category is said',
      'failed',
      { category: 'handler', code: 'resultTooDeep' },
      'resultTooDeep',
    ],
    ['an unknown code by its category', 'lost', { category: 'infrastructure', code: 'struckByLightning' }, 'lost'],
    ['an unknown code and category by the ending', 'timedOut', { category: 'weather', code: 'rain' }, 'runLimit'],
    ['nothing said, a failure', 'failed', {}, 'reportedFailure'],
    ['nothing said, a cancel', 'cancelled', {}, 'cancelled'],
    ['a word of every object is none of the list', 'failed', { code: 'constructor' }, 'reportedFailure'],
  ] as const)('%s', (_, ending, told, code) => {
    if (!isFailureCode(code)) throw new Error(`${code} is no code`);
    expect(toldFailure(ending, told)).toEqual(failureOf(code));
  });
});

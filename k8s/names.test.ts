import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashOf, labelValue, operationHash, slugOf } from './names.ts';

/** As the API server has it. */
const label = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const dnsPart = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$/;

test.each([
  ['https://acme.example/customers/7', 'https_acme.example_customers_7', 'https-acme-example-customers-7'],
  ['Ünïcode 漢字', 'n_code', 'n-code'],
  ['漢字', '', ''],
  ['a'.repeat(80), 'a'.repeat(63), 'a'.repeat(30)],
  [`${'a'.repeat(62)}/b`, 'a'.repeat(62), 'a'.repeat(30)],
  ['-._x_.-', 'x', 'x'],
  ['ACME', 'ACME', 'acme'],
  ['', '', ''],
])('%s as a label and as a part of a name', (text, asLabel, asSlug) => {
  expect(labelValue(text)).toBe(asLabel);
  expect(slugOf(text, 30)).toBe(asSlug);
});

test('whatever the text, what comes out may be a label and a part of a name', () => {
  const texts = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.webUrl(), fc.string({ maxLength: 200 }));
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 63 }), (text, most) => {
      expect(labelValue(text)).toMatch(label);
      const slug = slugOf(text, most);
      expect(slug).toMatch(dnsPart);
      expect(slug.length).toBeLessThanOrEqual(most);
      // What is fit already stays as it is.
      expect(labelValue(labelValue(text))).toBe(labelValue(text));
      expect(slugOf(slug, most)).toBe(slug);
    }),
    { numRuns: 2_000 },
  );
});

test('a hash tells apart where its parts end, and is fit for labels and names', () => {
  expect(hashOf('ab', 'c')).not.toBe(hashOf('a', 'bc'));
  expect(hashOf('1')).not.toBe(hashOf(1));
  expect(hashOf('漢字')).toMatch(/^[0-9a-f]{20}$/);
});

test('launches of an Operation share a hash; other attempts and Operations have another', () => {
  const operation = { agendaId: 'a', attempt: 1, operation: 'o' };
  const others = [{ agendaId: 'b' }, { attempt: 2 }, { operation: 'p' }];
  expect(operationHash({ ...operation, ...{ launch: 1 } })).toBe(operationHash({ ...operation, ...{ launch: 2 } }));
  expect(new Set([operation, ...others.map((other) => ({ ...operation, ...other }))].map(operationHash)).size).toBe(4);
});

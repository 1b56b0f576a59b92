import { describe, expect, test } from 'vitest';
import { namespaceFault } from './customer-namespace.ts';

describe('the namespace of a Customer', () => {
  test.each(['acme', 'a', '7', 'pop-acme-1', 'kube', 'kubernetes', 'defaults', 'a--b', 'x'.repeat(63)])(
    'may be %s',
    (name) => expect(namespaceFault(name)).toBeUndefined(),
  );

  test.each([
    ['x'.repeat(64), 'tooLarge', `may have at most 63 characters, has 64: "${'x'.repeat(64)}".`],
    ['', 'invalid', 'must be a DNS label: .*; is "".'],
    ['Acme', 'invalid', 'is "Acme".'],
    ['a_b', 'invalid', 'is "a_b".'],
    ['a.b', 'invalid', 'is "a.b".'],
    ['-a', 'invalid', 'is "-a".'],
    ['a-', 'invalid', 'is "a-".'],
    ['a\n', 'invalid', 'is "a\\\\n".'],
    ['pop-x/../kube-system', 'invalid', 'is "pop-x/../kube-system".'],
    ['{customer}', 'invalid', 'is "{customer}".'],
    ['é', 'invalid', 'is "é".'],
    ['default', 'notAllowed', 'must not be "default" or begin with "kube-", is "default".'],
    ['kube-system', 'notAllowed', 'is "kube-system".'],
    ['kube-', 'invalid', 'is "kube-".'],
  ])('may not be %j', (name, code, message) =>
    expect(namespaceFault(name)).toEqual({ code, message: expect.stringMatching(message) }),
  );
});

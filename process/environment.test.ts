import { expect, test } from 'vitest';
import { installationName, SettingError } from './environment.ts';

test('a name of an installation is letters, digits and "-", at most 40; none is a name, too', () => {
  for (const name of ['', 'n', 'North-2', 'x'.repeat(40)]) expect(installationName(name)).toBe(name);
  expect(installationName(undefined)).toBe('');
});

test('another name is refused with the setting, the limit and the value', () => {
  for (const name of ['a.b', 'a b', '-a', 'ä', 'x'.repeat(41)]) {
    expect(() => installationName(name)).toThrow(SettingError);
    expect(() => installationName(name)).toThrow(`1 to 40 letters, digits and "-"`);
    expect(() => installationName(name)).toThrow(`not "${name}" (${name.length} characters)`);
  }
});

test('no name makes names that an installation without one may have', () => {
  for (const name of ['agenda-x', 'admission-x', 'pool-x']) expect(() => installationName(name)).toThrow(name);
});

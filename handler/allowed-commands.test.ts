import { describe, expect, test } from 'vitest';
import { allowedCommands, isAllowed } from './allowed-commands.ts';

const convert = {
  program: '/usr/bin/convert',
  args: ['{input}', '-resize', '{size}', 'out:{name}.png'],
  placeholders: { input: '[a-z/]+\\.jpg', size: '[0-9]{1,4}x[0-9]{1,4}', name: '[a-z]*' },
};
const good = ['/usr/bin/convert', 'in/a.jpg', '-resize', '10x10', 'out:b.png'];
const changed = (index: number, word: string) => good.map((each, at) => (at === index ? word : each));
/** Whether this value passes as the only argument, by this pattern. */
const passes = (value: string, pattern: string) =>
  isAllowed(['p', value], [{ program: 'p', args: ['{v}'], placeholders: { v: pattern } }]);

describe('a command line', () => {
  test('is compared as a whole: program, each argument, their number', () => {
    expect(isAllowed(good, [convert])).toBe(true);
    expect(isAllowed(good, [{ program: 'true', args: [], placeholders: {} }, convert])).toBe(true);
    expect(isAllowed(good, [])).toBe(false);
    expect(isAllowed([], [convert])).toBe(false);
    expect(isAllowed(changed(0, 'convert'), [convert])).toBe(false);
    expect(isAllowed(changed(0, '/usr/bin/convert '), [convert])).toBe(false);
    expect(isAllowed(changed(2, '-write'), [convert])).toBe(false);
    expect(isAllowed([...good, 'more'], [convert])).toBe(false);
    expect(isAllowed(good.slice(0, -1), [convert])).toBe(false);
    expect(isAllowed(changed(4, 'out:.png'), [convert])).toBe(true);
    expect(isAllowed(changed(4, 'out:b.png.png'), [convert])).toBe(false);
    expect(isAllowed(changed(4, 'b.png'), [convert])).toBe(false);
    expect(isAllowed(['p', 'aba'], [{ program: 'p', args: ['ab{v}ba'], placeholders: { v: '.*' } }])).toBe(false);
  });

  test('lists come from POP_COMMANDS, and are empty without it', () => {
    expect(allowedCommands({})).toEqual([]);
    expect(allowedCommands({ POP_COMMANDS: JSON.stringify([convert]) })).toEqual([convert]);
  });
});

describe('a value', () => {
  test('must match its pattern from end to end, lines or not', () => {
    expect(passes('10x10', '[0-9]+x[0-9]+')).toBe(true);
    for (const value of ['10x10 ', ' 10x10', '10x10\n', '\n10x10', 'x\n10x10', '10x10\nx', '10x10;ls', '']) {
      expect(passes(value, '[0-9]+x[0-9]+'), JSON.stringify(value)).toBe(false);
      expect(passes(value, '^[0-9]+x[0-9]+$'), JSON.stringify(value)).toBe(false);
    }
    expect(passes('ab', 'a|b')).toBe(false);
    expect(passes('axxx', '^a|b$')).toBe(false);
    expect(passes('a\nb', '.*')).toBe(false);
  });

  test('that begins with - passes only a pattern that itself begins with -', () => {
    expect(passes('-rf', '.*')).toBe(false);
    expect(passes('-rf', '[-a-z]+')).toBe(false);
    expect(passes('-5', '-?[0-9]+')).toBe(true);
    expect(passes('-5', '^-?[0-9]+$')).toBe(true);
    expect(passes('-rf', '-?[0-9]+')).toBe(false);
  });

  test('holds no NUL and is at most 256 characters long, however slow the pattern', () => {
    expect(passes('a'.repeat(256), 'a+')).toBe(true);
    expect(passes('a'.repeat(257), 'a+')).toBe(false);
    expect(passes(`${'a'.repeat(100_000)}b`, '(a+)+')).toBe(false);
    expect(passes('a\0', '[^b]*')).toBe(false);
  });
});

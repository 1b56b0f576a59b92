/**
 * Where a text stops being JSON (RFC 8259). Used only after JSON.parse refused it: the messages of JSON.parse do not
 * always tell a position.
 */

/** Where and how a text is not JSON. */
export interface JsonFault {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  readonly message: string;
}

const scalar = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const space = /[ \t\n\r]*/y;

/** The first fault of a text that is not JSON. */
export function findJsonFault(text: string): JsonFault {
  let at = 0;
  /** Where a string that began well goes wrong. */
  let badString: number | undefined;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return false;
    at = pattern.lastIndex;
    return true;
  };
  /** By hand: a pattern that repeats over a long string needs more stack than there is. */
  const takeString = (): boolean => {
    if (text[at] !== '"') return false;
    let next = at + 1;
    for (; next < text.length; next += 1) {
      const character = text.charCodeAt(next);
      if (character === 0x22) {
        at = next + 1;
        return true;
      }
      if (character < 0x20) break;
      if (character !== 0x5c) continue;
      escaped.lastIndex = next;
      if (!escaped.test(text)) break;
      next = escaped.lastIndex - 1;
    }
    badString = next;
    return false;
  };
  const fault = (expected: string): JsonFault => {
    if (badString !== undefined) {
      const message =
        badString >= text.length
          ? 'the text ends inside a string'
          : `a string must not hold ${JSON.stringify(text[badString])} here`;
      return place(text, badString, message);
    }
    return place(
      text,
      at,
      at >= text.length
        ? `the text ends where ${expected} is expected`
        : `${expected} is expected, not ${JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))}`,
    );
  };

  /** Closing characters of what is open. */
  const open: ('}' | ']')[] = [];
  let expects: 'value' | 'first' | 'key' | 'firstKey' | 'after' = 'value';
  for (;;) {
    take(space);
    const character = text[at];
    switch (expects) {
      case 'firstKey':
      case 'key':
        if (expects === 'firstKey' && character === '}') {
          at += 1;
          open.pop();
          expects = 'after';
          break;
        }
        if (!takeString())
          return fault(expects === 'firstKey' ? 'a name in double quotes or "}"' : 'a name in double quotes');
        take(space);
        if (text[at] !== ':') return fault('":"');
        at += 1;
        expects = 'value';
        break;
      case 'first':
      case 'value':
        if (character === '{' || character === '[') {
          at += 1;
          open.push(character === '{' ? '}' : ']');
          expects = character === '{' ? 'firstKey' : 'first';
        } else if (expects === 'first' && character === ']') {
          at += 1;
          open.pop();
          expects = 'after';
        } else if (takeString() || take(scalar)) {
          expects = 'after';
        } else {
          return fault('a value');
        }
        break;
      case 'after': {
        const close = open.at(-1);
        if (close === undefined) return fault('the end');
        if (character === close) {
          at += 1;
          open.pop();
        } else if (character === ',') {
          at += 1;
          expects = close === '}' ? 'key' : 'value';
        } else {
          return fault(`"," or "${close}"`);
        }
        break;
      }
      default:
        return expects satisfies never;
    }
  }
}

function place(text: string, at: number, message: string): JsonFault {
  let line = 1;
  let begin = 0;
  for (let end = text.indexOf('\n'); end !== -1 && end < at; end = text.indexOf('\n', begin)) {
    line += 1;
    begin = end + 1;
  }
  return { line, column: at - begin + 1, message };
}

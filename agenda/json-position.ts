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
  const reader = new Reader(text);
  for (;;) {
    const fault = reader.step();
    if (fault !== undefined) return fault;
  }
}

/** Reads a text a piece at a time, until one is not JSON. */
class Reader {
  readonly #text: string;
  #at = 0;
  /** Where a string that began well goes wrong. */
  #badString: number | undefined;
  /** Closing characters of what is open. */
  readonly #open: ('}' | ']')[] = [];
  #expects: 'value' | 'first' | 'key' | 'firstKey' | 'after' = 'value';

  constructor(text: string) {
    this.#text = text;
  }

  /** Takes the next piece, or tells why it is none. */
  step(): JsonFault | undefined {
    this.#take(space);
    switch (this.#expects) {
      case 'firstKey':
        return this.#closes('}') ? undefined : this.#key('a name in double quotes or "}"');
      case 'key':
        return this.#key('a name in double quotes');
      case 'first':
        return this.#closes(']') ? undefined : this.#value();
      case 'value':
        return this.#value();
      case 'after':
        return this.#after();
      default:
        return this.#expects satisfies never;
    }
  }

  #key(expected: string): JsonFault | undefined {
    if (!this.#takeString()) return this.#fault(expected);
    this.#take(space);
    if (this.#text[this.#at] !== ':') return this.#fault('":"');
    this.#at += 1;
    this.#expects = 'value';
    return undefined;
  }

  #value(): JsonFault | undefined {
    const character = this.#text[this.#at];
    if (character === '{' || character === '[') {
      this.#at += 1;
      this.#open.push(character === '{' ? '}' : ']');
      this.#expects = character === '{' ? 'firstKey' : 'first';
      return undefined;
    }
    if (!this.#takeString() && !this.#take(scalar)) return this.#fault('a value');
    this.#expects = 'after';
    return undefined;
  }

  #after(): JsonFault | undefined {
    const close = this.#open.at(-1);
    if (close === undefined) return this.#fault('the end');
    if (this.#closes(close)) return undefined;
    if (this.#text[this.#at] !== ',') return this.#fault(`"," or "${close}"`);
    this.#at += 1;
    this.#expects = close === '}' ? 'key' : 'value';
    return undefined;
  }

  /** Takes `close` if it is next: what is open ends. */
  #closes(close: '}' | ']'): boolean {
    if (this.#text[this.#at] !== close) return false;
    this.#at += 1;
    this.#open.pop();
    this.#expects = 'after';
    return true;
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  /** By hand: a pattern that repeats over a long string needs more stack than there is. */
  #takeString(): boolean {
    const text = this.#text;
    if (text[this.#at] !== '"') return false;
    let next = this.#at + 1;
    for (; next < text.length; next += 1) {
      const character = text.charCodeAt(next);
      if (character === 0x22) {
        this.#at = next + 1;
        return true;
      }
      if (character < 0x20) break;
      if (character !== 0x5c) continue;
      escaped.lastIndex = next;
      if (!escaped.test(text)) break;
      next = escaped.lastIndex - 1;
    }
    this.#badString = next;
    return false;
  }

  #fault(expected: string): JsonFault {
    const text = this.#text;
    const [at, bad] = [this.#at, this.#badString];
    if (bad !== undefined) {
      const inside = `a string must not hold ${JSON.stringify(text[bad])} here`;
      return place(text, bad, bad >= text.length ? 'the text ends inside a string' : inside);
    }
    if (at >= text.length) return place(text, at, `the text ends where ${expected} is expected`);
    const found = JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0));
    return place(text, at, `${expected} is expected, not ${found}`);
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

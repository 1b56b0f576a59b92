/**
 * How much a JSON text holds, found before it is parsed: what is too much costs a look at its characters and no memory.
 */

/** Members that hold what a customer likes, whose values no schema looks at. */
export const freeMembers: readonly string[] = ['payload', 'params'];

/** How many values a text may hold. */
export interface JsonLimits {
  /** Members of objects and entries of lists. */
  readonly values: number;
  /** Those outside of payloads and params: each is checked for what it is. */
  readonly checkedValues: number;
  /** Of lists and objects inside each other. */
  readonly depth: number;
  /**
   * Bytes of one payload, of one params as compact JSON. Only what is certain without decoding strings and numbers is
   * found here.
   */
  readonly freeBytes: number;
}

const space = 0x20;
const [quote, backslash, colon, comma, openList, closeList, openObject, closeObject] = [
  0x22, 0x5c, 0x3a, 0x2c, 0x5b, 0x5d, 0x7b, 0x7d,
];

/**
 * The first limit that a text is beyond, or undefined. What separates values is counted, outside of strings, so an
 * empty list counts as one with one entry. The text need not be JSON.
 */
export function limitExceeded(text: string, most: JsonLimits): keyof JsonLimits | undefined {
  let [values, checkedValues, depth] = [1, 1, 0];
  /** Bytes that the payload at hand has at least. */
  let freeBytes = 0;
  /** Depth of the payload or the params that the scan is inside of; 0 outside. */
  let free = 0;
  /** The string before was the name of a free member. */
  let isFreeNext = false;
  let isInScalar = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) {
      const end = endOfString(text, at);
      isFreeNext = freeMembers.some((name) => end - at - 1 === name.length && text.startsWith(name, at + 1));
      // Six characters, such as \u0041, can stand for one byte.
      freeBytes += 2 + Math.ceil((end - at - 1) / 6);
      at = end;
    } else if (character === closeList || character === closeObject) {
      freeBytes += 1;
      if (free !== 0 && freeBytes > most.freeBytes) return 'freeBytes';
      if (free === depth) free = 0;
      depth -= 1;
      isFreeNext = false;
    } else if (character === comma || character === openList || character === openObject) {
      if (character !== comma) {
        depth += 1;
        if (depth > most.depth) return 'depth';
        if (free === 0 && isFreeNext) [free, freeBytes] = [depth, 0];
      }
      freeBytes += 1;
      isFreeNext = false;
      values += 1;
      if (free === 0) checkedValues += 1;
      if (values > most.values) return 'values';
      if (checkedValues > most.checkedValues) return 'checkedValues';
      if (free !== 0 && freeBytes > most.freeBytes) return 'freeBytes';
    } else if (character === colon) {
      freeBytes += 1;
    } else if (character > space && !isInScalar) {
      // One byte each: 1.000 is kept as 1.
      freeBytes += 1;
    }
    isInScalar = character > space && !isPunctuation(character);
  }
  return undefined;
}

function isPunctuation(character: number): boolean {
  return character === comma || character === colon || character === quote || isBracket(character);
}

function isBracket(character: number): boolean {
  return character === openList || character === closeList || character === openObject || character === closeObject;
}

/** Where the string that begins at `begin` has its closing quote; the text's length when it has none. */
function endOfString(text: string, begin: number): number {
  for (let end = text.indexOf('"', begin + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

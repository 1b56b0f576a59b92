import type { Json } from './types.ts';

/** Bytes of `value` as compact JSON in UTF-8. Recurses as deep as the value is nested: check the depth first. */
export function jsonBytes(value: Json): number {
  return utf8Bytes(JSON.stringify(value));
}

/** Bytes of a string in UTF-8; a lone surrogate counts as the replacement character (3). */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    bytes += 1;
    if (unit < 0x800) continue;
    const pair = unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text.charCodeAt(index + 1));
    // A pair is two units and four bytes; any other character above U+07FF is one unit and three bytes.
    bytes += 1;
    if (pair) index += 1;
  }
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

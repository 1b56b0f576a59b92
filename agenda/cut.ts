/**
 * Most characters (UTF-16 code units) of what a customer sent in one place of a message: a name, a value, a pointer.
 */
export const longestShown = 200;

/**
 * Text of a customer for a message: cut where it is longer than any good one, and never between the halves of a
 * surrogate pair.
 */
export function cut(text: string, most: number = longestShown): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  const isFirstHalf = last >= 0xd800 && last <= 0xdbff;
  return `${text.slice(0, isFirstHalf ? most - 1 : most)}…`;
}

/** As `cut`, in double quotes and with what cannot be printed escaped. */
export function quoted(text: string): string {
  return JSON.stringify(cut(text));
}

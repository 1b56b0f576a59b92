/** What handlers say, made fit for any database and JSON parser. */
import type { Json } from '../agenda/types.ts';

/** Without NUL and lone surrogates, which Postgres refuses in text and jsonb. */
export function cleanText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{fffd}');
}

/** The value with every text in it made fit for any database. */
export function cleanJson(value: Json): Json {
  return JSON.parse(JSON.stringify(value), (_key, each: unknown) =>
    typeof each === 'string' ? cleanText(each) : each,
  ) as Json;
}

/** Text as Postgres can hold it: no NUL, no half of a surrogate pair. */
export const storable = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed();

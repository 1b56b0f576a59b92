/** Text as Postgres can hold it: no NUL, no half of a surrogate pair. */
export const storable = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed();

/** Whether Postgres takes this text as it is. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

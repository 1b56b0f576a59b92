/** What went wrong, for readers who see one line of it. */

/** The first line of the error's message, and of those of its causes which it does not tell itself. */
export function troubleOf(error: unknown): string {
  let told = lineOf(error);
  const seen = new Set<unknown>([error]);
  for (let cause = causeOf(error); cause !== undefined && !seen.has(cause); cause = causeOf(cause)) {
    seen.add(cause);
    const more = lineOf(cause);
    if (!told.includes(more)) told += `: ${more}`;
  }
  return told;
}

function lineOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error).split('\n')[0] ?? '';
  // Of several addresses that were tried the message is empty.
  const { message, code, name } = error as { message?: unknown; code?: unknown; name?: unknown };
  return String(message || code || name || 'an error without a message').split('\n')[0] ?? '';
}

function causeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'cause' in error ? error.cause : undefined;
}

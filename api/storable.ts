/**
 * Pool workers send what handlers wrote, whatever it holds. One NUL must not refuse the reports that travel with it, so here
 * it becomes U+FFFD, as does half of a surrogate pair; customers' requests are refused instead (json-body.ts).
 */

/** `value` with every string and key such that Postgres can hold it; `bodyText` is the JSON it was parsed from. */
export function storable<T>(value: T, bodyText: string): T {
  // Both can only come from an escape, so ordinary bodies are not walked.
  return /\\u(0000|d[89a-f])/i.test(bodyText) ? (cleaned(value) as T) : value;
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return cleanedText(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [cleanedText(key), cleaned(member)]));
}

function cleanedText(text: string): string {
  return text.replaceAll('\u0000', '\uFFFD').toWellFormed();
}

/** A type added to the text of a registry, of which nothing else changes: neither order nor indentation. */

/** A registry with nothing in it but what all types share. */
export const emptyRegistry = '{\n  "basePodConfig": {}\n}\n';

/** Longest that a new handler may run, until its author says otherwise. */
const runSeconds = 600;

/** The text with one more type at its end. `text` must be a JSON object with a member, and without this one. */
export function withType(text: string, type: string, command: readonly string[]): string {
  const before = text.slice(0, text.lastIndexOf('}')).trimEnd();
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? '  ';
  const words = command.map((word) => JSON.stringify(word)).join(', ');
  const entry = `{ "podConfig": { "command": [${words}], "runSeconds": ${runSeconds} } }`;
  return `${before},\n${indent}${JSON.stringify(type)}: ${entry}${text.slice(before.length)}`;
}

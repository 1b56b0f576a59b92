/**
 * Which command lines a handler may run for a payload: those that the registry entry of its type lists, handed over in
 * POP_COMMANDS. A command line of a payload is compared word by word: the program and each argument must be the listed
 * text, and where that holds a placeholder `{name}`, the rest of the word is its value. There is no shell and no
 * splitting, so a value stays within its one argument and is never the program.
 */

/** As the registry lists it (launchers/allowed-commands.ts, which also checks it). */
export interface AllowedCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly placeholders: Readonly<Record<string, string>>;
}

/** Longest value of a placeholder, in characters: it bounds what a slow pattern can cost. */
export const maximumValueCharacters = 256;

/** What the registry entry lists; nothing when it lists none. */
export function allowedCommands(environment: NodeJS.ProcessEnv): readonly AllowedCommand[] {
  return JSON.parse(environment.POP_COMMANDS ?? '[]') as AllowedCommand[];
}

/** Whether one of `commands` is this whole command line, `words[0]` its program. */
export function isAllowed(words: readonly string[], commands: readonly AllowedCommand[]): boolean {
  const [program, ...args] = words;
  return commands.some(
    (command) =>
      command.program === program &&
      command.args.length === args.length &&
      command.args.every((listed, index) => isWord(args[index] ?? '', listed, command.placeholders)),
  );
}

function isWord(word: string, listed: string, placeholders: AllowedCommand['placeholders']): boolean {
  const [whole, name] = /\{([A-Za-z][A-Za-z0-9_]*)\}/.exec(listed) ?? [];
  if (whole === undefined || name === undefined) return word === listed;
  const at = listed.indexOf(whole);
  const [before, after] = [listed.slice(0, at), listed.slice(at + whole.length)];
  if (word.length < before.length + after.length || !word.startsWith(before) || !word.endsWith(after)) return false;
  const pattern = Object.hasOwn(placeholders, name) ? placeholders[name] : undefined;
  return pattern !== undefined && isValue(word.slice(before.length, word.length - after.length), pattern);
}

/** The pattern counts for the whole value: without the flag `m`, `^` and `$` are its two ends and no line's. */
function isValue(value: string, pattern: string): boolean {
  if (value.length > maximumValueCharacters || value.includes('\0')) return false;
  // An option for the program, unless the pattern says that it may be one.
  if (value.startsWith('-') && !/^\^?-/.test(pattern)) return false;
  return new RegExp(`^(?:${pattern})$`, 'u').test(value);
}

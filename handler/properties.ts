/** Reads `.properties` files as Java writes them: what POP's `-propFile` names. */

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

/** Name to value. A name that comes twice has its last value. */
export function parseProperties(text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const line of logicalLines(text)) {
    const [, name = '', value = ''] = /^((?:\\.|[^\\:=\s])*)\s*[:=]?\s*(.*)$/su.exec(line) ?? [];
    // A plain assignment to "__proto__" would be lost.
    Object.defineProperty(found, unescaped(name), { value: unescaped(value), enumerable: true, configurable: true });
  }
  return found;
}

/** Lines without comments and blanks; one that ends in an odd number of backslashes goes on in the next. */
function logicalLines(text: string): string[] {
  const lines: string[] = [];
  let open: string | undefined;
  for (const natural of text.split(/\r\n|\n|\r/)) {
    const line = natural.trimStart();
    if (open === undefined && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue;
    const whole = (open ?? '') + line;
    const [backslashes = ''] = /\\*$/.exec(line) ?? [];
    open = backslashes.length % 2 === 1 ? whole.slice(0, -1) : undefined;
    if (open === undefined) lines.push(whole);
  }
  return open === undefined ? lines : [...lines, open];
}

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9A-Fa-f]{4})|(.))/gsu, (_whole, code?: string, character = '') =>
    code === undefined ? (escapes[character] ?? character) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

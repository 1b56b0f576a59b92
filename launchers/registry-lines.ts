/** Finds the line of a field in JSON text, for messages to people. */

/**
 * Line (from 1) of the deepest part of `path` that the text has; undefined when it has none of it. The text must be
 * JSON.
 */
export function lineOfField(source: string, path: readonly string[]): number | undefined {
  let best: number | undefined;
  let deepest = 0;
  /** One level per open object or array: the key or index at hand. */
  const open: { isArray: boolean; key: string; index: number; expectsKey: boolean }[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
  for (let match = tokens.exec(source); match !== null; match = tokens.exec(source)) {
    const token = match[0];
    const top = open.at(-1);
    if (token === '{') open.push({ isArray: false, key: '', index: 0, expectsKey: true });
    else if (token === '[') open.push({ isArray: true, key: '0', index: 0, expectsKey: false });
    else if (token === '}' || token === ']') open.pop();
    else if (token === ',' && top !== undefined) {
      top.index += 1;
      if (top.isArray) top.key = String(top.index);
      else top.expectsKey = true;
    } else if (token === ':' && top !== undefined) top.expectsKey = false;
    else if (top?.expectsKey && token.startsWith('"')) top.key = String(JSON.parse(token));
    else continue;
    const here = open.map((level) => level.key);
    const isPrefix = here.length <= path.length && here.every((key, depth) => key === path[depth]);
    if (here.length > deepest && isPrefix) {
      deepest = here.length;
      best = source.slice(0, match.index).split('\n').length;
    }
  }
  return best;
}

/** Line (from 1) that a message of `JSON.parse` speaks of; undefined when it names no position. */
export function lineOfSyntaxError(message: string, source: string): number | undefined {
  const stated = /line (\d+)/.exec(message)?.[1];
  if (stated !== undefined) return Number(stated);
  const position = /position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return source.slice(0, Number(position)).split('\n').length;
  return message.includes('end of JSON input') ? source.split('\n').length : undefined;
}

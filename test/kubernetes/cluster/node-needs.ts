/** What a machine must have for a real node, and how it gets it. */

/** Why this machine can have no real node, in words for people; undefined when it can. */
export function missingForNode(): string | undefined {
  if (process.platform !== 'linux') return 'a real node needs Linux';
  if (process.getuid?.() !== 0) return 'a real node needs root';
  return undefined;
}

/** Which known name somebody may have meant. */
import { closestMatch } from 'leven';

/** Longer names are like none of ours, and comparing takes time. */
const longestCompared = 64;

/**
 * The known name that differs in no more than a third of the letters, ignoring case; two that changed places are two.
 */
export function nearestName(given: string, known: readonly string[]): string | undefined {
  if (given.length > longestCompared) return undefined;
  const byFold = new Map(known.map((name) => [name.toLowerCase(), name]));
  const maxDistance = given.length < 5 ? 1 : Math.max(2, Math.floor(given.length / 3));
  const match = closestMatch(given.toLowerCase(), [...byFold.keys()], { maxDistance });
  return match === undefined ? undefined : byFold.get(match);
}

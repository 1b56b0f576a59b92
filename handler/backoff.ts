/** How long to wait before another try: longer each time, and not the same for all who wait. */

/** Bounds of a wait, in milliseconds. */
export interface Backoff {
  readonly firstMilliseconds: number;
  readonly mostMilliseconds: number;
}

/** The wait after this many failures in a row (from 1): doubled each time, of which half is left to chance. */
export function waitAfter(failures: number, { firstMilliseconds, mostMilliseconds }: Backoff): number {
  const whole = Math.min(mostMilliseconds, firstMilliseconds * 2 ** Math.min(failures - 1, 30));
  return whole * (0.5 + Math.random() / 2);
}

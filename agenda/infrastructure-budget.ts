/**
 * Whether a launch that the infrastructure took away is repeated, and when: decided from the launches of one Operation
 * in one attempt of its Agenda, so never from a counter that could go wrong. The customer's attempts are not touched.
 *
 *   losses          5 in a row, 20 in all; a launch that ran for 10 minutes ends the row
 *   displacements   100: drains and preemptions are orderly, and may come often
 *   waits           1 s, 2 s, 4 s … 5 min by the place in the row, each ±20 %
 */
import { isDisplacement } from './failure.ts';
import type { FailureCategory } from './outcomes.ts';

/** A launch that has ended. */
export interface PastLaunch {
  readonly category: FailureCategory | null;
  readonly code: string | null;
  /** From started to ended; 0 when it never started. */
  readonly ranMilliseconds: number;
}

/** What becomes of an Operation whose launch was taken away; `reason` is for people. */
export type BudgetDecision =
  | { readonly decision: 'again'; readonly inMilliseconds: number }
  | { readonly decision: 'ended'; readonly reason: string };

const mostLossesInRow = 5;
const mostLosses = 20;
const mostDisplacements = 100;
/** A launch that ran so long shows that the Operation can run: what was lost before is forgiven. */
const rowEndsAfterMilliseconds = 10 * 60_000;

const shortestWaitMilliseconds = 1_000;
const longestWaitMilliseconds = 5 * 60_000;

/**
 * Decides after the last of `launches`, oldest first, all of one Operation and Agenda attempt. `jitter`: 0 to 1, chosen
 * by chance.
 */
export function decideAfterLoss(launches: readonly PastLaunch[], jitter: number): BudgetDecision {
  const last = launches.at(-1);
  if (last?.category !== 'infrastructure') throw new Error('the last launch was not lost to the infrastructure');
  const isAlike = (launch: PastLaunch) =>
    launch.category === 'infrastructure' && isDisplacement(launch.code) === isDisplacement(last.code);
  const inAll = launches.filter(isAlike).length;
  const inRow = rowLength(launches, isAlike);
  const spent = isDisplacement(last.code)
    ? inAll >= mostDisplacements && `its launches were drained or preempted ${inAll} times`
    : (inRow >= mostLossesInRow && `${inRow} launches in a row were lost to the infrastructure`) ||
      (inAll >= mostLosses && `${inAll} launches were lost to the infrastructure`);
  if (spent !== false) return { decision: 'ended', reason: `It is not launched again: ${spent}.` };
  return { decision: 'again', inMilliseconds: spread(shortestWaitMilliseconds * 2 ** (inRow - 1), jitter) };
}

/** How long to wait before the next try of what could not be started: as long as it is blocked already. */
export function waitWhileBlocked(blockedMilliseconds: number, jitter: number): number {
  return spread(Math.max(shortestWaitMilliseconds, blockedMilliseconds), jitter);
}

/**
 * How long until it is asked for again by whoever gets it, where the worker that asked does not serve its type: as long
 * as it is handed back already. `isThere`: a worker that does is there, and need only get it.
 */
export function waitForAnother(waitedMilliseconds: number, isThere: boolean, jitter: number): number {
  const [shortest, longest] = isThere ? [100, 5_000] : [shortestWaitMilliseconds, 30_000];
  return spread(Math.min(longest, Math.max(shortest, waitedMilliseconds)), jitter);
}

/** How many such launches there are at the end; one of another kind of loss neither counts nor ends the row. */
function rowLength(launches: readonly PastLaunch[], isAlike: (launch: PastLaunch) => boolean): number {
  let count = 0;
  for (const launch of launches.toReversed()) {
    if (launch.category !== 'infrastructure') break;
    if (isAlike(launch)) count++;
    if (launch.ranMilliseconds >= rowEndsAfterMilliseconds) break;
  }
  return count;
}

/** ±20 %, so that what was lost together does not come back together; never above the longest. */
function spread(milliseconds: number, jitter: number): number {
  const bounded = Math.min(longestWaitMilliseconds, milliseconds) * (0.8 + 0.4 * jitter);
  return Math.round(Math.min(longestWaitMilliseconds, bounded));
}

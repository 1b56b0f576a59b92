/** Commands that work on the database itself: it may not be there yet, and it may refuse. */
import { setTimeout as delay } from 'node:timers/promises';
import { CommandError, exitCodes } from './exit-codes.ts';

const betweenMilliseconds = 500;
/** Postgres' codes: the user, its password, or a privilege is missing. */
const refusals = new Set(['28P01', '28000', '42501']);

/**
 * Does `work`, again and again while Postgres is away, for so long. @throws CommandError: unreachable after that,
 * refused where Postgres refuses
 */
export async function untilDatabase<T>(waitSeconds: number, work: () => Promise<T>): Promise<T> {
  const { isDatabaseAway } = await import('../db/connect.ts');
  const until = performance.now() + waitSeconds * 1_000;
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isDatabaseAway(error)) throw refusalOf(error) ?? error;
      if (performance.now() >= until)
        throw new CommandError(exitCodes.unreachable, `Postgres does not answer: ${causeOf(error).message}`, {
          cause: error,
        });
      if (tries === 0) console.error('Postgres does not answer yet; waiting.');
      await delay(Math.min(betweenMilliseconds, Math.max(0, until - performance.now())));
    }
  }
}

function refusalOf(error: unknown): CommandError | undefined {
  const cause = causeOf(error);
  if (!('code' in cause && typeof cause.code === 'string' && refusals.has(cause.code))) return undefined;
  return new CommandError(exitCodes.refused, `Postgres refuses: ${cause.message}`, { cause: error });
}

/** What went wrong below the wrappings of the query builder. */
function causeOf(error: unknown): Error {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  if (at instanceof AggregateError && at.errors[0] instanceof Error) return at.errors[0];
  return at instanceof Error ? at : new Error(String(at));
}

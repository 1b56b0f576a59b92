/**
 * Local activities one after the other. Two at once end one by one when they run, each in an activation of its own, but
 * together when they are replayed: what follows from them would then come in another order, and the run could not go
 * on.
 */
type Steps = { readonly [name: string]: (...input: never[]) => Promise<unknown> };

/**
 * As `activities`, each call beginning when the one before it has ended. Make it inside a workflow: it is the state of
 * one run.
 */
export function inTurn<T>(activities: T & Steps): T {
  let last: Promise<unknown> = Promise.resolve();
  const inOrder =
    (step: (...input: never[]) => Promise<unknown>) =>
    (...input: never[]) => {
      const turn = last.then(() => step(...input));
      last = turn.catch(() => undefined);
      return turn;
    };
  return new Proxy(activities, { get: (steps, name) => inOrder(steps[name as string] as Steps[string]) });
}

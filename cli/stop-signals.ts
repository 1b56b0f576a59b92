/** The wish of whoever started a command that it ends: once in order, a second time at once. */

/** Aborts with the first and the second signal. */
export interface StopSignals extends Disposable {
  readonly first: AbortSignal;
  readonly second: AbortSignal;
}

const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npm passes a Ctrl-C on that the terminal has given us already: that is one, not two. */
const echoMilliseconds = 500;

/** Listens from now on, until it is disposed of. */
export function stopSignals(): StopSignals {
  const [first, second] = [new AbortController(), new AbortController()];
  let last = { name: '', time: Number.NEGATIVE_INFINITY };
  const hear = (name: string): void => {
    if (name === last.name && performance.now() - last.time < echoMilliseconds) return;
    last = { name, time: performance.now() };
    (first.signal.aborted ? second : first).abort(new Error(name));
  };
  for (const name of names) process.on(name, hear);
  return {
    first: first.signal,
    second: second.signal,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, hear);
    },
  };
}

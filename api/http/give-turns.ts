import { setImmediate } from 'node:timers/promises';

/** Enough for a connection to be accepted, read, answered and written to. */
const turns = 4;

/** Lets what else has come in meanwhile be done first: the event loop goes around a few times. */
export async function giveTurns(): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await setImmediate();
}

/** Resident types: Operations that need no handler, and are performed by whoever walks the Agenda. Pure. */
import type { FailureCode } from './failure.ts';
import type { DiagnosticEvent, Json } from './types.ts';

/** What such an Operation came to. */
export interface Performed {
  readonly result?: Json;
  readonly fault?: DiagnosticEvent & { readonly code: FailureCode };
}

/** What a resident type does with its payload. */
export type Resident = (payload: Json, context: { readonly log: (message: string) => void }) => Performed;

/**
 * `{ logMessages: [...] }`: each goes to the log of whoever performs it; the result is their number.
 */
const logMessages: Resident = (payload, { log }) => {
  const messages =
    payload !== null && typeof payload === 'object' && !Array.isArray(payload)
      ? (payload as { logMessages?: Json }).logMessages
      : undefined;
  if (!Array.isArray(messages)) {
    return {
      fault: {
        code: 'payloadInvalid',
        message: 'logMessages: the payload must be an object with an array "logMessages"',
        time: Date.now(),
      },
    };
  }
  for (const message of messages) log(typeof message === 'string' ? message : JSON.stringify(message));
  return { result: { logged: messages.length } };
};

/** By type. */
export const residents: ReadonlyMap<string, Resident> = new Map([['logMessages', logMessages]]);

/** Operation types that the control worker performs itself, without a pool worker: every pool has them. */
export const residentTypes: readonly string[] = [...residents.keys()];

/** What the run directories of the launchers of one host have in common. */
import type { FailureCode } from '../../agenda/failure.ts';
import type { Fence } from '../../messages/resource-pool.ts';

/** The launcher's own files. */
export const recordNames = {
  run: 'run.json',
  started: 'started.json',
  stop: 'stop.json',
  refused: 'refused.json',
} as const;

/** What the handler finds, and what it leaves. */
export const handlerFileNames = {
  payload: 'payload.json',
  lastProgress: 'last-progress.json',
  token: 'token',
  progress: 'progress.json',
  result: 'result.json',
} as const;

/** `run.json` */
export interface RunRecord extends Fence {
  readonly key: string;
  readonly type: string;
}

/** `refused.json` */
export interface RefusedRecord {
  readonly code: FailureCode;
  readonly message: string;
}

/** `stop.json`: the first reason stands, whatever the handler does with the signal. */
export type StopRecord = { readonly stoppedTime: number; readonly graceSeconds: number } & (
  | { readonly reason: 'cancelled' }
  /** The place goes down in order: the Operation runs again elsewhere or later. */
  | { readonly reason: 'shutdown' }
  /** `pop1`: it reported COMPLETE and was silent ever after. */
  | { readonly reason: 'complete' }
  | { readonly reason: 'timedOut'; readonly limit: 'scheduled' | 'quiet' | 'run'; readonly seconds: number }
);

type Reason = StopRecord extends infer Each
  ? Each extends StopRecord
    ? Omit<Each, 'stoppedTime' | 'graceSeconds'>
    : never
  : never;

/** The reason of a stop, and the seconds that the handler may take. */
export type StopOrder = Reason & { readonly graceSeconds: number };

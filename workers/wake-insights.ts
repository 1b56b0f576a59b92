/** Wakes admission: flips the flags of Insights and signals the ones that were not awake. */
import type { Logger } from 'pino';
import { flipWake } from '../db/admission/wake.ts';
import type { Database } from '../db/connect.ts';
import type { TemporalClient } from '../temporal/connect.ts';
import { signalWoken } from '../temporal/signal-insights.ts';

/** The record holds the flags, Temporal the workflows: waking needs both. */
export interface WakeParts {
  readonly database: Database;
  readonly client: TemporalClient;
  readonly log: Logger;
}

/**
 * To be called after the commit of what there is to see. Never fails its caller: a wake that is lost is left to the
 * sweep.
 */
export async function wakeInsights({ database, client, log }: WakeParts, insightIds: readonly string[]): Promise<void> {
  if (insightIds.length === 0) return;
  try {
    await signalWoken(client, await flipWake(database, [...new Set(insightIds)]));
  } catch (error) {
    log.warn({ err: error, insightIds }, 'wake failed; the sweep will repeat it');
  }
}

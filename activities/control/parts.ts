/** What the control activities work with. */
import type { Logger } from 'pino';
import type { Database } from '../../db/connect.ts';
import type { TemporalClient } from '../../temporal/connect.ts';

/** The connections and settings that every control activity is given. */
export interface ControlParts {
  readonly database: Database;
  readonly client: TemporalClient;
  readonly log: Logger;
  readonly settings: ControlSettings;
  /** Wakes Insights after what the caller committed; never fails. */
  wake(insightIds: readonly string[]): void;
  readonly metrics?: ControlMetrics;
}

/** Settings of the control worker, in seconds. */
export interface ControlSettings {
  /** Heartbeat timeout of an Operation: how long a dead pool worker goes unnoticed. */
  readonly heartbeatSeconds: number;
  /** Longest wait for the stops of a cancelled Agenda. */
  readonly cancelSeconds: number;
  /** A started Agenda that was quiet this long is checked against Temporal. */
  readonly quietSeconds: number;
  readonly sweepSeconds: number;
  /** The record of admissions is kept this long. In days. */
  readonly admissionsDays: number;
}

/** What a control worker counts of its own work. */
export interface ControlMetrics {
  /** One batch of admission: how long it took and what it admitted, by reason. */
  batch(
    insightId: string,
    batch: { readonly seconds: number; readonly admitted: number; readonly reasons: Readonly<Record<string, number>> },
  ): void;
  /** Insights that were signalled. */
  wakes(count: number): void;
}

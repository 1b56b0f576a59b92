/** What the control activities work with. */
import type { Client } from '@temporalio/client';
import type { Database } from '../../db/connect.ts';
import type { Log } from '../../workers/log.ts';
import type { ControlMetrics } from '../../workers/metrics.ts';

export interface ControlParts {
  readonly database: Database;
  readonly client: Client;
  readonly log: Log;
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

/** The limits that every launcher keeps to, as a registry entry states them. */
import { z } from 'zod';

/** How long each part of a run may take. */
export interface Limits {
  /** From asked for to started. */
  readonly scheduledSeconds: number;
  /** Absent: silence is no fault. */
  readonly quietSeconds?: number;
  /** Absent: it may run for ever. */
  readonly runSeconds?: number;
  /** Between asked to end and forced to. */
  readonly graceSeconds: number;
}

const seconds = z.number().positive().max(31_536_000);
const milliseconds = z.number().positive().max(31_536_000_000);

/** Their fields in a `podConfig`, with POP's names of two of them. */
export const limitFields = {
  scheduledSeconds: seconds.optional(),
  quietSeconds: seconds.optional(),
  runSeconds: seconds.optional(),
  graceSeconds: z.number().min(0).max(3_600).optional(),
  /** POP's name of `scheduledSeconds`, in milliseconds. */
  podScheduledTimeoutMs: milliseconds.optional(),
  /** POP's name of `quietSeconds`, in milliseconds. */
  podStdoutTimeout: milliseconds.optional(),
};

/** The limits as the fields of a `podConfig` state them. */
export type LimitFields = { readonly [Name in keyof typeof limitFields]?: number | undefined };

/** The limits of all layers, later ones win; POP's names become ours within their layer. */
export function limitsOf(layers: readonly LimitFields[]): Limits {
  const limits = { scheduledSeconds: 300, graceSeconds: 10 } as { -readonly [Name in keyof Limits]: Limits[Name] };
  for (const layer of layers) {
    const scheduledSeconds = layer.scheduledSeconds ?? inSeconds(layer.podScheduledTimeoutMs);
    const quietSeconds = layer.quietSeconds ?? inSeconds(layer.podStdoutTimeout);
    if (scheduledSeconds !== undefined) limits.scheduledSeconds = scheduledSeconds;
    if (quietSeconds !== undefined) limits.quietSeconds = quietSeconds;
    if (layer.runSeconds !== undefined) limits.runSeconds = layer.runSeconds;
    if (layer.graceSeconds !== undefined) limits.graceSeconds = layer.graceSeconds;
  }
  return limits;
}

function inSeconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1_000;
}

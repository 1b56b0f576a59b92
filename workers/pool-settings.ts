/** What a pool worker is set to, by its environment. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { PoolCredentials } from '../activities/pool/join-installation.ts';
import {
  logLevel,
  positiveNumber,
  readAll,
  required,
  requiredSecret,
  WrongSettingError,
} from '../process/environment.ts';
import { type StatusSettings, statusSettings } from '../process/serve-metrics.ts';
import { drainSeconds } from '../process/shutdown.ts';
import { type TemporalSettings, temporalSettings } from '../temporal/connect.ts';

/** Settings of a pool worker. */
export interface PoolSettings extends PoolCredentials {
  readonly registry: string;
  readonly runDirectory: string;
  readonly concurrency: number;
  /** Between two looks at runs that nobody follows. */
  readonly reapSeconds: number;
  /** From the signal to the forced end. */
  readonly drainSeconds: number;
  readonly logLevel: string;
  readonly status: StatusSettings;
  readonly temporal: TemporalSettings;
}

/** Reads them. @throws WrongSettingError with all that is missing or wrong */
export function poolSettings(): PoolSettings {
  return readAll<PoolSettings>({
    resourcePoolId: () => required('POP_POOL_ID'),
    url: serviceUrl,
    apiKey: () => requiredSecret('POP_API_KEY'),
    registry: () => required('POP_REGISTRY'),
    runDirectory: () => resolve(required('POP_RUN_DIRECTORY')),
    concurrency: () => Math.ceil(positiveNumber('POP_CONCURRENCY', Math.max(4, 2 * availableParallelism()))),
    reapSeconds: () => positiveNumber('POP_REAP_SECONDS', 60),
    drainSeconds,
    logLevel,
    status: statusSettings,
    temporal: temporalSettings,
  });
}

function serviceUrl(): string {
  const url = required('POP_URL');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new WrongSettingError({
      setting: 'POP_URL',
      problem: `must be a URL such as http://127.0.0.1:8080/v1, not "${url}"`,
    });
  return url;
}

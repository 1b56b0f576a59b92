/** What the PodReaper of a pool is set to, by the environment of its workers. */
import { flag, optional, positiveNumber, wholeNumber } from '../process/environment.ts';
import type { PodReaperInput } from '../workflows/messages.ts';

/** How often, and what goes. */
export interface PodReaperSettings extends Omit<PodReaperInput, 'poolQueue'> {
  readonly everySeconds: number;
}

/** Reads them; ages with the defaults that POP's PodReaper has. @throws WrongSettingError */
export function podReaperSettings(): PodReaperSettings {
  const days = optional('POP_REAP_NAMESPACES_DAYS');
  return {
    everySeconds: positiveNumber('POP_POD_REAP_EVERY_SECONDS', 300, 10),
    olderThanSeconds: positiveNumber('POP_POD_REAP_AGE_MINUTES', 1_440) * 60,
    mostKept: wholeNumber('POP_PODS_KEPT', 1_000),
    batch: Math.ceil(positiveNumber('POP_POD_REAP_BATCH', 50)),
    mostSeconds: positiveNumber('POP_POD_REAP_MAXIMUM_MINUTES', 5) * 60,
    ...(days !== undefined && { namespacesOlderThanSeconds: positiveNumber('POP_REAP_NAMESPACES_DAYS', 1) * 86_400 }),
    logOnly: flag('POP_POD_REAP_LOG_ONLY') ?? false,
  };
}

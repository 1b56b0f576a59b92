/** The registry of a pool worker: one that is not good at the start is the operator's to mend. */
import type { Logger } from 'pino';
import { LiveRegistry } from '../../launchers/live-registry.ts';
import { type LaunchKind, RegistryError } from '../../launchers/registry.ts';
import { WrongSettingError } from '../../process/environment.ts';

/**
 * Opens the registry of a worker that has launchers for `launches`; absent: for all. @throws WrongSettingError naming
 * file, line and field of each fault
 */
export function openRegistry(
  path: string,
  log: Pick<Logger, 'error' | 'warn'>,
  launches?: readonly LaunchKind[],
): LiveRegistry {
  const onBroken = (error: RegistryError) =>
    log.error(
      { err: error, registry: path },
      'the registry was edited and is broken now; the last good one stays in use',
    );
  try {
    const registry = new LiveRegistry(path, onBroken, launches);
    for (const warning of registry.current.warnings) log.warn(warning);
    return registry;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new WrongSettingError({ setting: 'POP_REGISTRY', problem: `names no usable registry:\n${error.message}` });
  }
}

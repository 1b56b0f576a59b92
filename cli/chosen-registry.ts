import { existsSync } from 'node:fs';
import type { Registry } from '../launchers/registry.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

/** The registry that is used when none is named. */
export const usualRegistry = 'registry.json';

/**
 * The registry that was named, else the one of the working directory, else an empty one.
 * @throws CommandError when it is not there or not good
 */
export async function readRegistry(named: string | undefined): Promise<Registry> {
  const { loadRegistry, parseRegistry, RegistryError } = await import('../launchers/registry.ts');
  if (named === undefined && !existsSync(usualRegistry)) return parseRegistry('{"basePodConfig":{}}', usualRegistry);
  try {
    return loadRegistry(named ?? usualRegistry);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new CommandError(exitCodes.usage, error.message, { cause: error });
  }
}

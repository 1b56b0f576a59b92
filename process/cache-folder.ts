/**
 * Where programs keep what they made of the sources: in a clone beside the packages, gone with them, and made again.
 * What was built lies where it may not be written.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isBuilt } from './source-file.ts';

/** Need not be there yet. */
export const cacheFolder = isBuilt
  ? join(homedir(), '.cache', 'pop')
  : fileURLToPath(new URL('../node_modules/.cache/pop', import.meta.url));

/** Where Node keeps what it compiled and stripped of types, so that the next start does not do it again. */
export const compileCache = join(cacheFolder, 'compiled');

import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isBuilt } from './source-file.ts';

/**
 * Where everything of one machine is kept unless it is said: in the clone; in the user's home for what was built from
 * one. machine/programs.mjs, which is run by any Node, has the same rule.
 */
export const usualHome: string = isBuilt
  ? join(homedir(), '.pop')
  : join(fileURLToPath(new URL('..', import.meta.url)), '.pop');

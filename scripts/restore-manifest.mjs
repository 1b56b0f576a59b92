// Puts the clone's manifest back after `npm pack` (`postpack`), and before it, should one have been cut short.
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The clone's manifest while the package's is in its place. */
export const keptManifest = join(root, '.pop', 'package.json.of-the-clone');

/** Does nothing when it is in its place. */
export function restoreManifest() {
  if (existsSync(keptManifest)) renameSync(keptManifest, join(root, 'package.json'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) restoreManifest();

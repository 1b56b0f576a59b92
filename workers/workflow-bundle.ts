/** The bundle of the workflows: made once per version of the sources, then taken from the cache. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { cacheFolder } from '../process/cache-folder.ts';
import { isBuilt } from '../process/source-file.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/**
 * All that a workflow may import of ours, as the walls have it (docs/architecture.md); packages are known by the lock
 * file.
 */
export const bundledRooms = ['workflows', 'agenda', 'messages'];

/** The bundle as it was made when this was built, where all of it belongs together. */
export const builtBundle = 'workflow-bundle.js';

/** Path of the bundled code. `log` hears when it has to be made, which takes some seconds. */
export async function workflowBundle(log: (message: string) => void = () => undefined): Promise<string> {
  if (isBuilt) return join(root, builtBundle);
  const path = join(cacheFolder, `workflows-${await versionOfSources(root)}.js`);
  try {
    await readFile(path);
    return path;
  } catch {
    log('bundling the workflows');
  }
  const { code } = await bundleWorkflowCode({ workflowsPath: join(root, 'workflows', 'index.ts') });
  await mkdir(cacheFolder, { recursive: true });
  // Two processes may make it at once: each writes its own file, the last rename wins with the same content.
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, path);
  return path;
}

/**
 * Names the version of everything in `root` that the bundle can hold: another source in whatever folder, another name.
 */
export async function versionOfSources(root: string): Promise<string> {
  const hash = createHash('sha256');
  for (const room of bundledRooms) {
    for (const path of await sourcesIn(join(root, room))) {
      const text = await readFile(join(root, room, path));
      // With lengths, so that no two trees read alike.
      hash.update(`${room}/${path}\0${text.length}\0`).update(text);
    }
  }
  hash.update(await readFile(join(root, 'package-lock.json')));
  return hash.digest('hex').slice(0, 16);
}

/** Paths below `folder`, the same wherever the project lies. */
async function sourcesIn(folder: string): Promise<string[]> {
  const paths = await readdir(folder, { recursive: true });
  return paths.filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts')).sort();
}

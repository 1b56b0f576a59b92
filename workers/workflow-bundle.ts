/** The bundle of the workflows: made once per version of the sources, then taken from the cache. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sources = ['workflows', 'agenda'];
const cacheDirectory = join(root, 'node_modules', '.cache', 'pop');

/** Path of the bundled code. `log` hears when it has to be made, which takes some seconds. */
export async function workflowBundle(log: (message: string) => void = () => undefined): Promise<string> {
  const path = join(cacheDirectory, `workflows-${await versionOfSources()}.js`);
  try {
    await readFile(path);
    return path;
  } catch {
    log('bundling the workflows');
  }
  const { code } = await bundleWorkflowCode({ workflowsPath: join(root, 'workflows', 'index.ts') });
  await mkdir(cacheDirectory, { recursive: true });
  // Two processes may make it at once: each writes its own file, the last rename wins with the same content.
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, path);
  return path;
}

async function versionOfSources(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of sources) {
    for (const name of (await readdir(join(root, folder))).sort()) {
      if (name.endsWith('.ts') && !name.endsWith('.test.ts'))
        hash.update(name).update(await readFile(join(root, folder, name)));
    }
  }
  hash.update(await readFile(join(root, 'package-lock.json')));
  return hash.digest('hex').slice(0, 16);
}

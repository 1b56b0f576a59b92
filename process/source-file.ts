/** Programs of ours by their files, which are TypeScript in a clone and JavaScript in what was built from one. */
import { fileURLToPath } from 'node:url';

/** Whether this is what was built: Node strips no types below `node_modules`. */
export const isBuilt: boolean = import.meta.url.endsWith('.js');

/** The path of a source of ours, as it is now. */
export function sourceFile(url: URL): string {
  const path = fileURLToPath(url);
  return isBuilt ? path.replace(/\.ts$/, '.js') : path;
}

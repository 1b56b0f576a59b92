/** Where programs keep what they made of the sources, beside the packages: gone with them, and made again. */
import { fileURLToPath } from 'node:url';

/** Need not be there yet. */
export const cacheFolder = fileURLToPath(new URL('../node_modules/.cache/pop', import.meta.url));

/** A function of an `inProcess` type, for tests of large results. */
import type { InProcessFunction } from '../../launchers/in-process/in-process-launcher.ts';

/** A text that has so many bytes as JSON, as the payload says: `{ "bytes": 8192 }`. */
export const largeResult: InProcessFunction = (payload) => {
  const { bytes } = payload as { readonly bytes: number };
  return 'p'.repeat(bytes - 2);
};

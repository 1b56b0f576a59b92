/** The file for the result, and how files are written for others to read. */
import { renameSync, writeFileSync } from 'node:fs';
import type { Json } from '../types.ts';

/** Where the result goes. */
export interface ResultFile {
  /** undefined: nobody reads a file. */
  readonly path: string | undefined;
  /**
   * Most bytes that its reader takes. Then it is the termination message of a container, a file that the kubelet made
   * and mounted: nothing can be renamed over it.
   */
  readonly mostBytes: number | undefined;
}

/** `POP_RESULT_FILE` and `POP_RESULT_FILE_BYTES`. */
export function resultFileOf(environment: NodeJS.ProcessEnv): ResultFile {
  const most = Number(environment.POP_RESULT_FILE_BYTES || Number.NaN);
  return { path: environment.POP_RESULT_FILE || undefined, mostBytes: Number.isFinite(most) ? most : undefined };
}

/** Whether the file takes the result, which is written then. */
export function writeResultFile({ path, mostBytes }: ResultFile, result: Json): boolean {
  if (path === undefined) return false;
  const text = JSON.stringify(result);
  if (mostBytes === undefined) writeWhole(path, text);
  else if (Buffer.byteLength(text) > mostBytes) return false;
  else writeFileSync(path, text);
  return true;
}

/**
 * Readers see the old content or the new, never a part. The Local launcher's shim makes it durable before it records
 * the end.
 */
export function writeWhole(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content, { mode: 0o600 });
  renameSync(temporary, path);
}

/**
 * The registry fields `readRoots` and `writeRoots`: folders that a handler of the type may read and write for whoever
 * submits.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { fitsVariable, tooLargeForVariable } from './variable-bytes.ts';

const variable = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}(?=\/|$)/;

/**
 * A list of folders, as absolute paths when it was read: relative ones start from `folder`, the registry file's, and
 * `${NAME}` at the beginning is that variable of the pool worker. A variable that is not set is a fault, never an empty
 * text.
 */
export function rootsSchema(folder: string, environment: NodeJS.ProcessEnv) {
  const root = z
    .string()
    .min(1)
    .regex(/^[^\0]*$/, 'must not contain a NUL character')
    .transform((written, context) => {
      const name = variable.exec(written)?.[1];
      const value = name === undefined ? undefined : environment[name];
      const filled = value ? written.replace(variable, () => value) : written;
      if (name !== undefined && !value) {
        context.addIssue(`the environment variable ${name} of the pool worker is not set`);
      } else if (/\$\{/.test(filled)) {
        context.addIssue(`"${written}": a variable \${NAME} stands at the beginning only, before a slash`);
      }
      return resolve(folder, filled);
    });
  return z.array(root).refine(fitsVariable, tooLargeForVariable);
}

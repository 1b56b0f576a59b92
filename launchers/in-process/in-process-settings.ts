/** What the registry says of a type that is a function in the pool worker. */
import { z } from 'zod';
import type { Limits } from '../limits.ts';

/** The registry entry of a `launch: "inProcess"` type, all layers resolved. */
export interface InProcessSettings extends Limits {
  readonly launch: 'inProcess';
  /** A built-in name, or `<module>#<export>`. */
  readonly function: string;
  /** Where a module's path starts from: the registry file's. */
  readonly folder: string;
}

/** The fields of a `podConfig` that mean something to this launcher. */
export const inProcessFields = () => ({ function: z.string().min(1).optional() });

/** These fields as parsed. */
export type InProcessFields = z.output<z.ZodObject<ReturnType<typeof inProcessFields>>>;

/** The entry of merged layers; undefined without a `function`. */
export function inProcessSettings(
  fields: InProcessFields,
  limits: Limits,
  folder: string,
): InProcessSettings | undefined {
  return fields.function === undefined
    ? undefined
    : { launch: 'inProcess', ...limits, function: fields.function, folder };
}

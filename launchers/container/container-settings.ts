/** What the registry says of a type that is launched as a container, whichever launcher starts it. */
import { z } from 'zod';
import type { Limits } from '../limits.ts';
import { type ProgramSettings, programFields, programSettings } from '../program-settings.ts';
import { quantityOf } from '../quantity.ts';

/** What a container asks for and may use; quantities as Kubernetes writes them. */
export interface ContainerResources {
  readonly cpuRequest: string;
  readonly cpuLimit?: string;
  /** Asked for and the most it may use. */
  readonly memory?: string;
  readonly gpu?: number;
}

/** The part of a registry entry that all launchers of containers read, all layers resolved. */
export interface ContainerSettings extends Limits, ProgramSettings {
  readonly image: string;
  readonly pullAlways: boolean;
  /** In place of the image's entrypoint. */
  readonly command?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly resources: ContainerResources;
  /** Deletes the container once its end is acknowledged; otherwise it stays for a while, to be looked at. */
  readonly reapCompletedPods: boolean;
}

/** Less is a mistake: no program starts in it. */
const leastMemoryBytes = 4 * 1024 * 1024;

const quantity = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((text) => (quantityOf(text) ?? 0) > 0, 'is not a quantity such as 500m, 2 or 1.5');
const memory = z
  .string()
  .refine((text) => quantityOf(text) !== undefined, 'is not a quantity such as 512Mi or 2Gi')
  .refine(
    (text) => (quantityOf(text) ?? leastMemoryBytes) >= leastMemoryBytes,
    'is less than 4Mi; a number without a unit is bytes, and m means thousandths of one: is Mi meant?',
  );

/** The fields of a `podConfig` that launchers of containers share; with the names that POP gave to them. */
export const containerFields = (folder: string, environment: NodeJS.ProcessEnv) => ({
  ...programFields(folder, environment),
  imageName: z.string().min(1).max(1_024).optional(),
  pullAlways: z.boolean().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  cpuMinRequestCount: quantity.optional(),
  cpuMaxRequestCount: quantity.optional(),
  memoryRequestCount: memory.optional(),
  gpuCount: z.number().int().min(1).max(1_024).optional(),
  reapCompletedPods: z.boolean().optional(),
});

/** These fields as parsed. */
export type ContainerFields = z.output<z.ZodObject<ReturnType<typeof containerFields>>>;

/** The entry of merged layers; undefined without an `imageName`. */
export function containerSettings(fields: ContainerFields, limits: Limits): ContainerSettings | undefined {
  const { imageName: image, command } = fields;
  if (image === undefined) return undefined;
  return {
    ...limits,
    ...programSettings(fields),
    image,
    pullAlways: fields.pullAlways ?? false,
    ...(command !== undefined && { command }),
    labels: fields.labels ?? {},
    resources: resourcesOf(fields),
    reapCompletedPods: fields.reapCompletedPods ?? true,
  };
}

function resourcesOf(fields: ContainerFields): ContainerResources {
  const { cpuMinRequestCount: least, cpuMaxRequestCount: most, memoryRequestCount, gpuCount } = fields;
  return {
    cpuRequest: least ?? most ?? '1',
    ...(most !== undefined && { cpuLimit: most }),
    ...(memoryRequestCount !== undefined && { memory: memoryRequestCount }),
    ...(gpuCount !== undefined && { gpu: gpuCount }),
  };
}

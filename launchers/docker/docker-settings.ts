/** What the registry says of a type that is launched as a container of a Docker-compatible engine on this host. */
import { z } from 'zod';
import { type ContainerSettings, containerFields, containerSettings } from '../container/container-settings.ts';
import type { Limits } from '../limits.ts';

/** The registry entry of a `launch: "docker"` type, all layers resolved. */
export interface DockerSettings extends ContainerSettings {
  readonly launch: 'docker';
  /** A network of the engine, such as `none`, `bridge` or `host`. */
  readonly network: string;
  /** Folders of the host in the container. */
  readonly mounts: readonly DockerMount[];
  /** `user` or `user:group`, in place of the image's. */
  readonly user?: string;
}

/** A folder of the host in the container. */
export interface DockerMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

const absolute = z.string().startsWith('/', 'must be an absolute path');

/** The fields of a `podConfig` that mean something to this launcher. */
export const dockerFields = (folder: string, environment: NodeJS.ProcessEnv) => ({
  ...containerFields(folder, environment),
  network: z.string().min(1).optional(),
  mounts: z
    .array(z.strictObject({ source: absolute, target: absolute, readOnly: z.boolean().default(true) }))
    .optional(),
  user: z.string().min(1).optional(),
});

/** These fields as parsed. */
export type DockerFields = z.output<z.ZodObject<ReturnType<typeof dockerFields>>>;

/** The entry of merged layers; undefined without an `imageName`. */
export function dockerSettings(fields: DockerFields, limits: Limits): DockerSettings | undefined {
  const container = containerSettings(fields, limits);
  if (container === undefined) return undefined;
  return {
    launch: 'docker',
    ...container,
    network: fields.network ?? 'bridge',
    mounts: fields.mounts ?? [],
    ...(fields.user !== undefined && { user: fields.user }),
  };
}

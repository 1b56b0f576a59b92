/** What a handler may start outside of itself, and how that ended. */
import type { Fields } from '../fields.ts';
import type { OperationFacts } from '../inputs.ts';
import type { Json, JsonObject } from '../types.ts';

/** Ways to run a tool: POP's `externalLaunchType`. */
export type ExternalLaunch = 'local' | 'docker' | 'kubernetes';

/** A tool and how it is to be run. */
export interface ExternalTool {
  /** For `docker` and `kubernetes`. */
  readonly image?: string;
  /** Program and first words. Needed for `local`; else the image's own when not given. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  /** Hears each line of output; when not given, the lines go to the handler's own output. */
  readonly onLine?: (line: string) => void;
  /** Hears in words why it has not started yet; when not given, they go to the log. */
  readonly onWaiting?: (reason: string) => void;
  /** Where to run it; when not given: `-externalLaunchType`, `POP_EXTERNAL_LAUNCH`, or what the handler's place is. */
  readonly launch?: ExternalLaunch;
  /** Longest time until it starts, such as for pulling its image; 300 when not given. */
  readonly scheduledSeconds?: number;
  /** Longest time from its start to its end; any when not given. */
  readonly runSeconds?: number;
  /** From the wish that it ends to the order; 10 when not given. */
  readonly graceSeconds?: number;
  /** What it is given. In a Pod, what it asks for; memory is its limit too. */
  readonly resources?: ToolResources;
  readonly kubernetes?: PodWishes;
  readonly docker?: ContainerWishes;
}

/** Quantities as Kubernetes writes them: `500m`, `2`, `256Mi`. */
export interface ToolResources {
  readonly cpu?: string;
  readonly memory?: string;
  /** Others, such as `nvidia.com/gpu`; in Pods only. */
  readonly others?: Readonly<Record<string, string>>;
}

/** What only Pods have. */
export interface PodWishes {
  /** Volumes of the handler's own Pod, by name, that the tool gets at the same paths. */
  readonly sharedVolumes?: readonly string[];
  /** More volumes, as in the spec of a Pod. */
  readonly volumes?: readonly JsonObject[];
  readonly volumeMounts?: readonly JsonObject[];
  readonly serviceAccountName?: string;
  readonly imagePullSecrets?: readonly string[];
  /** Laid over the container's security context, such as `{ readOnlyRootFilesystem: false }`. */
  readonly securityContext?: JsonObject;
  /** Laid over the Pod's spec, field by field. */
  readonly spec?: JsonObject;
}

/** What only containers of Docker have. */
export interface ContainerWishes {
  /** As Docker writes them: `/host/folder:/folder:ro`. */
  readonly binds?: readonly string[];
  /** `none`, `bridge`, `host` or the name of one; `none` when not given. */
  readonly network?: string;
  /** `1000:1000`; that of the handler when not given. */
  readonly user?: string;
}

/** How a tool ended that did its work. */
export interface ExternalEnd {
  readonly exitCode: 0;
  readonly lastLines: readonly string[];
}

/** What a launch of a tool is given beside the tool. */
export interface ExternalParts {
  readonly fields: Fields;
  readonly operation: OperationFacts;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
}

/** How a tool ended, by whichever launch. */
export interface ToolExit {
  /** null when a signal ended it, or nobody knows. */
  readonly exitCode: number | null;
  /** A signal, or the word of the place for it, such as `OOMKilled`. */
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

/** What one launch of a tool does; it is gone when this returns or throws. */
export interface ToolRun extends ExternalParts {
  readonly tool: ExternalTool;
  /** Aborts when the handler is to end, and when the tool's time is over. */
  readonly signal: AbortSignal;
  /** A whole line of its output. */
  readonly line: (line: string) => void;
  readonly waiting: (reason: string) => void;
  /** Begins its `runSeconds`; whoever calls it again changes nothing. */
  readonly started: () => void;
}

/** Defaults of a tool's times, in seconds. */
export const toolDefaults = { scheduledSeconds: 300, graceSeconds: 10 };

/** Words of a command line for messages. */
export function nameOf({ image, command }: ExternalTool): string {
  return image ?? command?.[0] ?? 'the tool';
}

/** What the diagnostics say of a tool. */
export function factsOf(tool: ExternalTool): Record<string, Json> {
  return {
    ...(tool.image !== undefined && { image: tool.image }),
    commandLine: [...(tool.command ?? []), ...(tool.args ?? [])],
  };
}

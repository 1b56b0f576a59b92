/** The fields of a Pod that are read here. */
import type { JsonObject } from '../types.ts';

/** A Pod as the API answers it. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: PodSpec;
  readonly status?: PodStatus;
}

/** What a tool takes over from the handler's own Pod. */
export interface PodSpec {
  readonly securityContext?: JsonObject;
  readonly containers?: readonly Container[];
  readonly volumes?: readonly (JsonObject & { readonly name: string })[];
  readonly imagePullSecrets?: readonly JsonObject[];
  readonly tolerations?: readonly JsonObject[];
  readonly nodeSelector?: JsonObject;
}

/** A container of a spec. */
export interface Container {
  readonly name: string;
  readonly securityContext?: JsonObject;
  readonly volumeMounts?: readonly (JsonObject & { readonly name: string })[];
}

/** Where a Pod stands. */
export interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  }[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

/** Where a container stands. */
export interface ContainerStatus {
  readonly name: string;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: { readonly startedAt?: string };
    readonly terminated?: {
      readonly exitCode: number;
      readonly reason?: string;
      readonly message?: string;
    };
  };
}

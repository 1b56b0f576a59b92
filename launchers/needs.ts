/**
 * What one run of a type takes of its pool, which admission charges for: what `needs` of the registry states, else what
 * a container requests. Cores, bytes, devices and slots, as an Agenda's `peak`.
 */
import { z } from 'zod';
import { mostOfEachResource } from '../messages/limits.ts';
import type { TypeNeeds } from '../messages/resource-pool.ts';
import { parseQuantity } from './quantity.ts';

/** An amount in the registry; `most` as the api takes it. */
const amount = (most: number, { whole = false } = {}) =>
  z
    .union([z.number(), z.string()], 'must be a number, or a text such as "500m" or "2Gi"')
    .transform((given, context): number => {
      const value = parseQuantity(given);
      const refuse = (message: string) => {
        context.addIssue({ code: 'custom', message });
        return z.NEVER;
      };
      if (value === undefined) return refuse('must be a number, or a text such as "500m" or "2Gi"');
      if (value < 0 || value > most) return refuse(`must be from 0 to ${most}`);
      return whole && !Number.isInteger(value) ? refuse('must be a whole number') : value;
    });

/** The field `needs` of a `podConfig`, for types of every launch. */
export const needsField = {
  needs: z
    .strictObject({
      cpu: amount(mostOfEachResource).optional(),
      memory: amount(Number.MAX_SAFE_INTEGER).optional(),
      gpu: amount(mostOfEachResource).optional(),
      slots: amount(mostOfEachResource, { whole: true }).optional(),
    })
    .optional(),
};

/** What settings of every launch have of it: the type's own, else that of `basePodConfig`. */
export interface NeedsSetting {
  readonly needs?: TypeNeeds;
}

/** POP's names of what a container requests; a setting of launchers that start containers. */
export interface ContainerRequests {
  /** Cores, such as `100m`. */
  readonly cpuMinRequestCount?: string | number | undefined;
  /** Bytes, such as `512Mi`. */
  readonly memoryRequestCount?: string | number | undefined;
  /** Devices. */
  readonly gpuRequestCount?: string | number | undefined;
}

/** What admission is to charge for one run. A resource that is absent is not known, and counts nothing. */
export function needsOf(settings: NeedsSetting & ContainerRequests): TypeNeeds {
  if (settings.needs !== undefined) return settings.needs;
  const requested = {
    cpu: quantityOf(settings.cpuMinRequestCount),
    memory: quantityOf(settings.memoryRequestCount),
    gpu: quantityOf(settings.gpuRequestCount),
  };
  return Object.fromEntries(Object.entries(requested).filter(([, value]) => value !== undefined));
}

const quantityOf = (given: string | number | undefined): number | undefined =>
  given === undefined ? undefined : parseQuantity(given);

/** The setting as the layers state it, later ones win as a whole. */
export function needsSetting(layers: readonly { readonly needs?: GivenNeeds | undefined }[]): NeedsSetting {
  const given = layers.findLast(({ needs }) => needs !== undefined)?.needs;
  if (given === undefined) return {};
  return { needs: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

type GivenNeeds = { readonly [Name in keyof TypeNeeds]: number | undefined };

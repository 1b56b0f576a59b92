/**
 * What one run of a type takes of its pool, which admission charges for: what `needs` of the registry states, else what
 * a container requests. Cores, bytes, devices and slots, as an Agenda's `peak`.
 */
import { z } from 'zod';
import { mostOfEachResource } from '../messages/limits.ts';
import type { TypeNeeds } from '../messages/resource-pool.ts';
import type { ContainerResources } from './container/container-settings.ts';
import { quantityOf } from './quantity.ts';

/** An amount in the registry; `most` as the api takes it. */
const amount = (most: number, { whole = false } = {}) =>
  z
    .union([z.number(), z.string()], 'must be a number, or a text such as "500m" or "2Gi"')
    .transform((given, context): number => {
      const value = typeof given === 'number' ? given : quantityOf(given.trim());
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

/** What admission is to charge for one run. A resource that is absent is not known, and counts nothing. */
export function needsOf(settings: NeedsSetting & { readonly resources?: ContainerResources }): TypeNeeds {
  const { needs, resources } = settings;
  if (needs !== undefined || resources === undefined) return needs ?? {};
  const cpu = quantityOf(resources.cpuRequest);
  const memory = resources.memory === undefined ? undefined : quantityOf(resources.memory);
  const { gpu } = resources;
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(gpu === undefined ? {} : { gpu }),
  };
}

/** The setting as the layers state it, later ones win as a whole. */
export function needsSetting(layers: readonly { readonly needs?: GivenNeeds | undefined }[]): NeedsSetting {
  const given = layers.findLast(({ needs }) => needs !== undefined)?.needs;
  if (given === undefined) return {};
  return { needs: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

type GivenNeeds = { readonly [Name in keyof TypeNeeds]: number | undefined };

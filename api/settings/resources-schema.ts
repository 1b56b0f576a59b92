/** Amounts of what a ResourcePool has, with their units: what a pool holds, and what an Agenda needs of it. */
import { z } from '@hono/zod-openapi';
import { mostOfEachResource } from '../../messages/limits.ts';

const amounts = {
  slots: z
    .number()
    .int()
    .min(0)
    .max(mostOfEachResource)
    .openapi({ description: 'A whole number; what a slot is worth is up to the operator.', example: 4 }),
  cpu: z.number().min(0).max(mostOfEachResource).openapi({ description: 'Cores.', example: 1.5 }),
  memory: z.number().min(0).max(Number.MAX_SAFE_INTEGER).openapi({ description: 'Bytes.', example: 4_294_967_296 }),
  gpu: z.number().min(0).max(mostOfEachResource).openapi({ description: 'Devices.', example: 1 }),
};

/** What an Agenda holds of slots: it always takes up one, so that no Agenda passes by the limits of its pool. */
export const leastOneSlot = amounts.slots.min(1);

/** As taken in. A resource we do not know is refused, since it would silently not count. */
export const resourcesSchema = z.strictObject({
  slots: amounts.slots.nullish(),
  cpu: amounts.cpu.nullish(),
  memory: amounts.memory.nullish(),
  gpu: amounts.gpu.nullish(),
});

/** As answered. */
export const resourcesViewSchema = z.object(amounts).partial();

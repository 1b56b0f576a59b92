import { randomInt } from 'node:crypto';
import { freePort } from '../../../machine/free-port.ts';

/**
 * A free port that stays free until it is used, and while its part is started again: it lies below those that the
 * kernel gives to outgoing connections, and clusters that start at once look in different places.
 */
export async function quietPort(taken?: ReadonlySet<number>): Promise<number> {
  return freePort(randomInt(20_000, 32_000), taken);
}

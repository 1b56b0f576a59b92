import { needOf } from '../../scheduling/need.ts';
import type { WaitingRow } from '../admission/heads.ts';
import { itemOf } from '../admission/rules-view.ts';
import type { Settings } from '../admission/settings.ts';
import type { InsightStanding } from './insight-standing.ts';

/**
 * Makes of a standing what admission goes by, for those who only look: limits on how much may start do not matter to
 * them.
 */
export function settingsOf(standing: InsightStanding): Settings {
  const { priorityStep, floor, capacity, state, bands, held } = standing;
  return {
    insightId: standing.id,
    resourcePoolId: standing.resourcePoolId,
    batchId: '',
    algorithm: standing.algorithm,
    costModel: standing.costModel,
    options: {
      ...(priorityStep === null ? {} : { priorityStep }),
      ...(floor === null ? {} : { floor }),
      ...(Object.keys(capacity).length === 0 ? {} : { capacity }),
    },
    customers: standing.customers,
    now: standing.now,
    capacity,
    inUse: standing.inUse,
    inUseHere: needOf({ slots: standing.slots }),
    heldElsewhere: needOf({}),
    isPaused: false,
    heldNeed: null,
    mostAgendas: Number.POSITIVE_INFINITY,
    maximum: null,
    rate: undefined,
    epoch: 0,
    admissions: 0,
    reservation: { held: held?.agendaId ?? null, bypasses: [] },
    pending: (state?.memory as { pending?: string[] } | undefined)?.pending ?? [],
    bands: bands.map(({ level, clock, clockError, total, totalError, members, sinceLower }) => ({
      level,
      clock: [clock, clockError] as const,
      total: [total, totalError] as const,
      members,
      sinceLower,
    })),
  };
}

/** Cost that a waiting Agenda would be charged if it were admitted now. */
export const costOfWaiting = (standing: InsightStanding, waiting: WaitingRow): number =>
  itemOf(settingsOf(standing), { band: 0 }, { queue: waiting, heads: waiting, head: waiting }).cost as number;

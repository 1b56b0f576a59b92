/** How an explanation looks as JSON: what of it a caller may see. */
import type { AgendaPosition } from '../../db/insight/agenda-position.ts';
import type { AgendaExplanation } from '../../db/insight/explain.ts';
import type { InsightStanding } from '../../db/insight/insight-standing.ts';
import { amountsOfKey } from '../../scheduling/need.ts';
import { type Access, ownedBy } from '../auth/authorize.ts';
import { admissionView } from './admission-view.ts';
import type { ExplanationView } from './explanation-schema.ts';

/** The explanation for this caller: of Agendas and customers that it may not see there are counts only. */
export function explanationView(
  { agendaId, code, sentence, inLine, ...rest }: AgendaExplanation,
  access: Access,
): ExplanationView {
  const { standing, entitlement, waiting, admission, estimatedStart } = rest;
  // Who owns the Insight may see its queue.
  const seesAll = standing !== undefined && ownedBy(access, standing.customerId);
  return {
    ...{ agendaId, code, sentence },
    ...(inLine === undefined ? {} : positionView(inLine, (customerId) => seesAll || ownedBy(access, customerId))),
    customer: entitlement && {
      id: entitlement.customerId,
      weight: entitlement.weight,
      band: entitlement.band,
      share: inLine?.share,
      lag: inLine?.lag,
      bound: inLine?.bound,
      running: entitlement.running,
      maximumRunning: entitlement.maximumRunning ?? undefined,
      runningEverywhere: entitlement.runningEverywhere,
      maximumRunningEverywhere: entitlement.maximumEverywhere ?? undefined,
    },
    insight: standing && insightView(standing),
    pool: standing && { id: standing.resourcePoolId, capacity: standing.capacity, inUse: standing.inUse },
    need: waiting && amountsOfKey(waiting.need),
    reservation: standing && reservationView(standing, agendaId, seesAll),
    estimatedStart,
    admission: admission && admissionView(admission),
  };
}

function positionView(
  { position, ahead, aheadOfCustomer, positionIs, whoIsAhead }: AgendaPosition,
  maySee: (customerId: string) => boolean,
) {
  const seen = whoIsAhead.filter(({ customerId }) => maySee(customerId));
  const others = ahead - aheadOfCustomer;
  const isHidden = seen.length < whoIsAhead.length && others > 0;
  return {
    ...{ position, ahead, aheadOfCustomer, positionIs },
    whoIsAhead: [...seen, ...(isHidden ? [{ agendas: others, why: 'Of other customers.' }] : [])],
  };
}

const insightView = (standing: InsightStanding) => ({
  id: standing.id,
  title: standing.title,
  schedulingAlgorithm: standing.algorithm,
  queueSize: standing.queueSize,
  inQueue: standing.unstarted,
  running: standing.running,
  maximumRunning: standing.maximumRunning ?? undefined,
  slots: standing.slots,
  maximum: standing.maximum ?? undefined,
  admissionsPerSecond: standing.admissionsPerSecond ?? undefined,
  lastLookTime: standing.lastTickTime === null ? undefined : Math.round(standing.lastTickTime),
});

function reservationView({ id, held, heldElsewhere }: InsightStanding, agendaId: string, seesAll: boolean) {
  const reservation = held ?? heldElsewhere;
  if (reservation === null) return undefined;
  const isKnown = reservation.agendaId === agendaId || (seesAll && reservation.insightId === id);
  return {
    ...(isKnown ? { agendaId: reservation.agendaId } : {}),
    ...(reservation.insightId === id ? { insightId: id } : {}),
    need: amountsOfKey(reservation.need),
  };
}

/** How a queue looks as JSON. */
import type { z } from '@hono/zod-openapi';
import type { QueuedAgenda, QueuedCustomer, readQueue } from '../../db/insight/insight-queue.ts';
import type { InsightStanding } from '../../db/insight/insight-standing.ts';
import type { queueSchema } from './queue-schema.ts';

/** A queue as answered, but for the `cid`; members that are undefined are left out of the JSON. */
export function queueView(
  standing: InsightStanding,
  queue: Awaited<ReturnType<typeof readQueue>>,
): Omit<z.input<typeof queueSchema>, 'cid'> {
  return {
    insightId: standing.id,
    schedulingAlgorithm: standing.algorithm,
    waiting: queue.waiting,
    waitingIsMore: queue.waitingIsMore,
    isWhole: queue.isWhole,
    agendas: queue.agendas.map(agendaView),
    customers: queue.customers.map(customerView),
  };
}

const agendaView = ({
  agendaId,
  customerId,
  ready,
  waitedSeconds,
  priority,
  position,
  cost,
  reason,
}: QueuedAgenda) => ({
  ...{ position, agendaId, customerId, priority, cost },
  readyTime: Math.round(ready * 1000),
  waitedSeconds: Math.round(waitedSeconds * 1000) / 1000,
  reason: reason?.code,
});

const customerView = ({ entitlement, waiting, waitingIsMore, firstAgendaId, state, share, lag }: QueuedCustomer) => ({
  ...{ customerId: entitlement.customerId, state, waiting, waitingIsMore, firstAgendaId, share, lag },
  running: entitlement.running,
  weight: entitlement.weight,
  band: entitlement.band,
});

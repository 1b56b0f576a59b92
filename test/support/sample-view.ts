/** An Insight's queue as the admission workflow shows it, for tests. */
import type { QueueView } from '../../workflows/queue-view.ts';

/** A queue of many Agendas, with every field filled. */
export const sampleView: QueueView = {
  time: Date.UTC(2026, 0, 2, 3, 4, 5),
  waiting: 10_000,
  waitingIsMore: true,
  oldestSeconds: 81.5,
  running: 7,
  queued: 2,
  poolSlots: 9,
  limits: { queueSize: 100, poolSlots: 12 },
  shares: [
    {
      customerId: 'red',
      weight: 3,
      share: 0.75,
      received: 0.742,
      running: 5,
      waiting: 1_000,
      waitingIsMore: true,
      lag: 12.25,
    },
    { customerId: 'a|b', weight: 1, running: 2, waiting: 0, waitingIsMore: false },
  ],
  decisions: [{ number: 12, agendaId: '0197f3c2', customerId: 'red', reason: 'share', cost: 60 }],
};

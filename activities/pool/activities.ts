import { Context } from '@temporalio/activity';
import type { PoolActivities } from '../../workflows/activities.ts';
import type { PoolWorker } from './parts.ts';
import { reapPods } from './reap-pods.ts';
import { runOperation } from './run-operation.ts';
import { stopOperation } from './stop-operation.ts';

/** The activities of a pool worker, as Temporal calls them. */
export function createPoolActivities(pool: PoolWorker): PoolActivities {
  return {
    runOperation: (input) => runOperation(pool, Context.current(), input),
    async stopOperation(input) {
      const activity = Context.current();
      // For its heartbeats.
      const running = pool.running.enter(activity);
      try {
        return await stopOperation(pool, activity, input);
      } finally {
        pool.running.leave(running);
      }
    },
    reapPods: (order) => reapPods(pool, Context.current(), order),
  };
}

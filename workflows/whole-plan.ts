/** The plan of an Agenda put together from its pieces, and the walk along it. */
import { beginWalk, type Walk } from '../agenda/walk.ts';
import type { ControlActivities, LoadPlanAnswer, Plan } from './activities.ts';
import type { AgendaWorkflowInput } from './messages.ts';

/** A plan without what its walk holds already. */
export type WalkPlan = Omit<Plan, 'dependencies' | 'ended'>;

/**
 * Loads what the first piece has not; undefined when this attempt is no longer the running one. Small Agendas have one
 * piece.
 */
export async function wholePlan(
  control: ControlActivities,
  key: AgendaWorkflowInput,
  { plan, more }: Exclude<LoadPlanAnswer, { verdict: 'over' }>,
): Promise<{ plan: WalkPlan; walk: Walk } | undefined> {
  const { dependencies: first, ended: endedFirst, ...rest } = plan;
  const [names, types, startToCloseSeconds] = [[...plan.names], [...plan.types], [...plan.startToCloseSeconds]];
  const [dependencies, ended] = [[...first], [...endedFirst]];
  for (let from = more; from !== undefined; ) {
    const piece = await control.loadPlanPiece({ ...key, from });
    if (piece === undefined) return undefined;
    // Its first Operation may be the last of the piece before, which had no room for all it depends on.
    const known = names.length - from.operation;
    if (known > 0)
      dependencies[from.operation] = [...(dependencies[from.operation] ?? []), ...(piece.dependencies[0] ?? [])];
    names.push(...piece.names.slice(known));
    types.push(...piece.types.slice(known));
    startToCloseSeconds.push(...piece.startToCloseSeconds.slice(known));
    dependencies.push(...piece.dependencies.slice(known));
    ended.push(...piece.ended);
    from = piece.more;
  }
  const walk = beginWalk({ dependencies, ended, parallelism: plan.parallelism });
  return { plan: { ...rest, names, types, startToCloseSeconds }, walk };
}

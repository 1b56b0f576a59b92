/** What the record has of earlier launches, and what is decided from it when one more is lost. */
import type { Failure } from '../../agenda/failure.ts';
import { type BudgetDecision, decideAfterLoss, type PastLaunch } from '../../agenda/infrastructure-budget.ts';
import type { FailureCategory } from '../../agenda/outcomes.ts';
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { Statements } from '../connect.ts';

/** A launch that is lost now. */
export interface LostLaunch {
  readonly agendaId: string;
  readonly index: number;
  /** Of the Agenda. */
  readonly attempt: number;
  readonly launch: number;
  readonly failure: Failure;
  /** Where its end was told; else it ran until now. */
  readonly ranMilliseconds?: number | undefined;
}

interface LaunchRow {
  readonly agenda_id: string;
  readonly index: number;
  readonly launch: number;
  readonly category: FailureCategory | null;
  readonly code: string | null;
  readonly ran: number;
}

/** The decision on each, by its launches in the same attempt of its Agenda; keys as `launchedKey` makes them. */
export async function decideOnLost(
  sql: Statements,
  lost: readonly LostLaunch[],
): Promise<ReadonlyMap<string, BudgetDecision>> {
  if (lost.length === 0) return new Map();
  const rows = await sql<LaunchRow[]>`
    /* pastLaunches: read */
    select t.agenda_id, t.index, t.launch, t.category, t.code,
      greatest(0, coalesce(extract(epoch from
        coalesce(t.ended_time, t.noticed_time, clock_timestamp()) - t.started_time), 0) * 1000)::float8 as ran
    from unnest(${lost.map((l) => l.agendaId)}::text[], ${lost.map((l) => l.index)}::int[],
      ${lost.map((l) => l.attempt)}::int[], ${lost.map((l) => l.launch)}::int[]) as l(agenda_id, index, attempt, launch)
    join operation_attempt t
      on t.agenda_id = l.agenda_id and t.index = l.index and t.attempt = l.attempt and t.launch <= l.launch
    order by t.launch`;
  return new Map(
    lost.map((one) => {
      const own = rows.filter((row) => row.agenda_id === one.agendaId && row.index === one.index);
      const past: PastLaunch[] = own
        .filter((row) => row.launch < one.launch)
        .map(({ category, code, ran }) => ({ category, code, ranMilliseconds: ran }));
      const ranMilliseconds = one.ranMilliseconds ?? own.find((row) => row.launch === one.launch)?.ran ?? 0;
      return [launchedKey(one), decideAfterLoss([...past, { ...one.failure, ranMilliseconds }], Math.random())];
    }),
  );
}

/** Names an Operation within one request. */
export const launchedKey = ({ agendaId, index }: { readonly agendaId: string; readonly index: number }): string =>
  `${agendaId} ${index}`;

/** Says that the infrastructure's budget is spent. */
export const spentEvent = (reason: string): DiagnosticEvent => ({
  code: 'launchesSpent',
  message: reason,
  time: Date.now(),
});

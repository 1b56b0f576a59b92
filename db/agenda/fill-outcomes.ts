/** What ended under a version that knew no outcomes gets them afterwards, from the message. So `byOutcome` finds it. */
import type { Database } from '../connect.ts';

/** Agendas in one statement: up to 500 Operations each. */
const mostPerPortion = 100;
const mostPortions = 20;

/**
 * Gives ended Agendas without an outcome theirs, and their Operations: what never ran gets its end, `skipped`.
 * Where there is much it does a part. A crash leaves each Agenda done or not done. Writes no events: nothing happens
 * now. @returns how many Agendas
 */
export async function fillOutcomes(database: Database, portion = mostPerPortion): Promise<number> {
  let filled = 0;
  for (let n = 0; n < mostPortions; n++) {
    const count = await fillPortion(database, portion);
    filled += count;
    if (count < portion) break;
  }
  return filled;
}

async function fillPortion(database: Database, most: number): Promise<number> {
  const [row] = await database.$client<{ count: number }[]>`
    /* fillOutcomes: portion */
    with ended as (
      select agenda_id, completed_time, processing_state_message as outcome from agenda_progress
      where processing_state = 'COMPLETE' and outcome is null order by id limit ${most} for update skip locked),
    operations as (
      update operation_progress p set processing_state = 'COMPLETE',
        processing_state_message = o.outcome, outcome = o.outcome,
        completed_time = coalesce(p.completed_time, o.ended_time), updated_time = o.updated_time,
        diagnostic_events = case p.processing_state when 'WAITING' then o.events else p.diagnostic_events end
      from (
        select p.agenda_id, p.index, ended.completed_time as ended_time,
          case p.processing_state when 'COMPLETE' then p.updated_time else clock_timestamp() end as updated_time,
          case p.processing_state when 'COMPLETE' then p.processing_state_message when 'EXECUTING' then 'abandoned'
            else 'skipped' end as outcome,
          json_build_array(json_build_object('code', 'skipped',
            'message', 'Not started: the Agenda ended ' || ended.outcome,
            'time', floor(extract(epoch from ended.completed_time) * 1000))) as events
        from ended join operation_progress p on p.agenda_id = ended.agenda_id where p.outcome is null) o
      where p.agenda_id = o.agenda_id and p.index = o.index),
    filled as (
      update agenda_progress g set outcome = ended.outcome from ended where g.agenda_id = ended.agenda_id returning 1)
    select count(*)::int as count from filled`;
  return row?.count ?? 0;
}

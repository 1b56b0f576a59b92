/** A walker that waits for a timer alone, as one does between two tries of a step. */
import { sleep } from '@temporalio/workflow';

/** Ends after an hour. */
export async function agendaWorkflow(): Promise<void> {
  await sleep('1 hour');
}

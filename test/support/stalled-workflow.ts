/** A walker that waits for nothing, as one does whose worker let it pass over an event. */
import { condition } from '@temporalio/workflow';

/** Never ends by itself. */
export async function agendaWorkflow(): Promise<void> {
  await condition(() => false);
}

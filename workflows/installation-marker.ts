/**
 * Says whose a namespace is: one run with a fixed id, open for ever, that holds the id of an installation in its memo.
 * It does nothing else and needs no task after its first. A closed one would go with the namespace's retention; an
 * open one stays.
 */
import { CancellationScope, condition, setCurrentDetails } from '@temporalio/workflow';
import type { InstallationMarkerInput } from './messages.ts';

/** Ends when it is terminated; a cancel that somebody sends by mistake does nothing. */
export async function installationMarker({ installationId }: InstallationMarkerInput): Promise<void> {
  setCurrentDetails(`The workflows beside this one are of the POP installation ${installationId}.`);
  await CancellationScope.nonCancellable(() => condition(() => false));
}

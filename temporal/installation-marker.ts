/**
 * Whose a Temporal namespace is. Two installations that go by the same names there would take each other's work, so a
 * workflow with a fixed id holds the installation's id in its memo, and programs compare it with that of their
 * database.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Logger } from 'pino';
import { SettingError } from '../process/environment.ts';
import type { InstallationMarkerInput } from '../workflows/messages.ts';
import { markerWorkflowType, type Names } from '../workflows/names.ts';
import type { TemporalClient } from './connect.ts';

/** Between two looks of a program that runs. */
export const lookMilliseconds = 30_000;

/** The names belong to another installation: whoever goes on would take its work. */
export class OtherInstallationError extends SettingError {
  constructor(client: TemporalClient, found: string, own: string) {
    super(
      `The workflow ${client.names.markerWorkflow} says that ${describeNames(client.names)} in Temporal's namespace ` +
        `"${client.options.namespace}" are of the installation ${found}, not of ${own}. ` +
        'Installations that share a namespace need a POP_INSTALLATION of their own; else set another ' +
        'TEMPORAL_NAMESPACE. Where the other installation is gone for good, "pop installation renew --take-over" ' +
        'gives this database the names.',
    );
    this.name = 'OtherInstallationError';
  }
}

/** The names in words. */
export const describeNames = ({ installation }: Names): string =>
  installation === '' ? 'the names without POP_INSTALLATION' : `the names with POP_INSTALLATION=${installation}`;

/**
 * Id of the installation that the names belong to; undefined while they are nobody's. @throws while Temporal is away
 */
export async function readMarker(client: TemporalClient): Promise<string | undefined> {
  try {
    const { status, memo } = await client.workflow.getHandle(client.names.markerWorkflow).describe();
    if (status.name !== 'RUNNING' && status.name !== 'PAUSED') return undefined;
    return String(memo?.installationId ?? 'unknown');
  } catch (error) {
    // Never made, or its server's store was lost.
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/**
 * False while the names are nobody's. @throws OtherInstallationError when they are another's; anything else while
 * Temporal is away
 */
export async function checkMarker(client: TemporalClient, installationId: string): Promise<boolean> {
  const found = await readMarker(client);
  if (found !== undefined && found !== installationId) throw new OtherInstallationError(client, found, installationId);
  return found !== undefined;
}

/**
 * Looks now and then until the signal aborts: another may have taken the names since. @throws OtherInstallationError
 */
export function watchMarker(
  client: TemporalClient,
  installationId: string,
  signal: AbortSignal,
  log: Pick<Logger, 'debug'>,
  every = lookMilliseconds,
): Promise<void> {
  return lookAgain(() => checkMarker(client, installationId), signal, log, every);
}

/** Looks now and then until the signal aborts. @throws SettingError when a look does */
export async function lookAgain(
  look: () => Promise<unknown>,
  signal: AbortSignal,
  log: Pick<Logger, 'debug'>,
  every: number,
): Promise<void> {
  for (;;) {
    await delay(every, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await unlessAway(look, log);
  }
}

/** Looks once; that one of the sides is away is left to the next look. @throws SettingError when the look does */
export async function unlessAway(look: () => Promise<unknown>, log: Pick<Logger, 'debug'>): Promise<void> {
  try {
    await look();
  } catch (error) {
    if (error instanceof SettingError) throw error;
    log.debug({ err: error }, 'the marker of the installation was not read');
  }
}

/**
 * Makes the names those of this installation where they are nobody's yet; of several at once one wins. @throws as
 * `checkMarker`
 */
export async function claimNames(client: TemporalClient, installationId: string): Promise<void> {
  if (await checkMarker(client, installationId)) return;
  await startMarker(client, installationId, 'USE_EXISTING');
  // Another program may have been first.
  await checkMarker(client, installationId);
}

/** Gives the names to this installation, whosever they were. */
export async function takeNames(client: TemporalClient, installationId: string): Promise<void> {
  await startMarker(client, installationId, 'TERMINATE_EXISTING');
}

async function startMarker(
  client: TemporalClient,
  installationId: string,
  workflowIdConflictPolicy: 'USE_EXISTING' | 'TERMINATE_EXISTING',
): Promise<void> {
  const input: InstallationMarkerInput = { installationId };
  await client.workflow.start(markerWorkflowType, {
    workflowId: client.names.markerWorkflow,
    taskQueue: client.names.controlQueue,
    args: [input],
    memo: { installationId },
    staticSummary: `POP installation ${installationId}`,
    workflowIdConflictPolicy,
  });
}

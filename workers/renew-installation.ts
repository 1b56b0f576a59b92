/**
 * Gives a database a new installation id, for one that was copied. What the copied rows say of workflows is true of
 * the original's only, which may run beside it in the same namespace: nothing there is touched, unless the caller
 * takes the names over.
 */
import { openDatabase } from '../db/connect.ts';
import { type Installation, renewInstallation as renew } from '../db/installation.ts';
import { databaseUrl, SettingError } from '../process/environment.ts';
import { lazyTemporalClient, type TemporalClient, temporalSettings } from '../temporal/connect.ts';
import { describeNames, readMarker, takeNames } from '../temporal/installation-marker.ts';
import { countPollers } from '../temporal/task-queue-pollers.ts';

/** How long Temporal is asked. */
const temporalMilliseconds = 10_000;

/** Resolves to what was done and what is to be done, in lines for people. @throws SettingError when nothing was done */
export async function renewInstallation({ takeOver }: { readonly takeOver: boolean }): Promise<readonly string[]> {
  const temporal = temporalSettings();
  await using database = openDatabase(databaseUrl(), {
    applicationName: 'pop installation',
    connections: 1,
  });
  await using client = lazyTemporalClient(temporal);
  // Awaited here: both are closed when this returns.
  return await client.withDeadline(Date.now() + temporalMilliseconds, async () => {
    // Asked first: whoever wants to take over is refused before anything is changed.
    if (takeOver) await refuseInUse(client);
    const who = { actor: 'system', cid: `renew-${Date.now()}` };
    const { before, after } = await renew(database, who);
    const done = `The database was the installation ${before.id}, and is ${after.id} now.`;
    if (!takeOver) return [done, ...(await advice(client, after))];
    await takeNames(client, after.id);
    return [
      done,
      `${capital(describeNames(client.names))} in the namespace "${temporal.namespace}" are its now.`,
      'Start its programs; pool workers that run learn the new id when they are started again.',
    ];
  });
}

async function refuseInUse(client: TemporalClient): Promise<void> {
  const working = await countPollers(client, client.names.controlQueue, 'workflow');
  if (working === 0) return;
  throw new SettingError(
    `${working} pollers of control workers were seen in the last 75 seconds under ${describeNames(client.names)} in ` +
      `the namespace "${client.options.namespace}": their installation is in use. Nothing was changed. ` +
      'Stop it and wait, or choose a POP_INSTALLATION of your own.',
  );
}

/** What there is to set, by whose the names are. */
async function advice(client: TemporalClient, { id }: Installation): Promise<readonly string[]> {
  const names = `${describeNames(client.names)} in the namespace "${client.options.namespace}"`;
  const next = 'Pool workers that run learn the new id when they are started again.';
  let owner: string | undefined;
  try {
    owner = await readMarker(client);
  } catch (error) {
    return [`Temporal was not asked whose ${names} are: ${(error as Error).message}`, next];
  }
  if (owner === undefined)
    return [`${capital(names)} are nobody's: the first control worker takes them for ${id}.`, next];
  return [
    `${capital(names)} are of the installation ${owner}, and were left to it.`,
    'Set another POP_INSTALLATION or TEMPORAL_NAMESPACE for every program of this database.',
    `Where ${owner} is gone for good: pop installation renew --take-over`,
  ];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

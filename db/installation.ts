/** Which installation this database is of, and the name that its workflows and task queues begin with. */
import { sql } from 'drizzle-orm';
import { SettingError } from '../process/environment.ts';
import { appendAudit } from './audit.ts';
import type { Database } from './connect.ts';
import { installation } from './schema.ts';

/** The one row of its table. */
export interface Installation {
  readonly id: string;
  /** `POP_INSTALLATION` that Agendas run under, empty without one; null where no control worker has said it yet. */
  readonly name: string | null;
}

/** The database goes by another name: a program with this one would not find the workflows of its Agendas. */
export class OtherNameError extends SettingError {
  constructor(inUse: string, own: string, running?: number) {
    const who = running === undefined ? 'its control workers' : `the ${running} Agendas that run in this database`;
    const shown = (name: string) => (name === '' ? 'not set' : `"${name}"`);
    super(
      `POP_INSTALLATION is ${shown(own)} here, and ${shown(inUse)} for ${who}. All programs need the same one; ` +
        'it can be changed while no Agenda runs: pause the Insights and let those end first.',
    );
    this.name = 'OtherNameError';
  }
}

/** Reads the row. */
export async function readInstallation(database: Pick<Database, '$client'>): Promise<Installation> {
  const [row] = await database.$client<Installation[]>`/* installation: read */ select id, name from installation`;
  if (row === undefined) throw new Error('The table installation of this database is empty; a migration fills it.');
  return row;
}

/** Sets the name where no Agenda runs under another one. @throws OtherNameError */
export async function takeInstallationName(database: Database, name: string): Promise<Installation> {
  await database.$client`
    /* installation: take name */
    update installation set name = ${name}
    where name is distinct from ${name} and (name is null or not exists (select from running_agenda))`;
  const found = await readInstallation(database);
  if (found.name === name) return found;
  const [row] = await database.$client<{ running: number }[]>`
    /* installation: running */
    select count(*)::int as running from running_agenda`;
  throw new OtherNameError(found.name ?? '', name, row?.running ?? 0);
}

/**
 * Gives the database a new id, for one that was copied from another installation's. Its Agendas that were running have
 * no workflows of this id, so the next control worker may come with any name.
 */
export async function renewInstallation(
  database: Database,
  who: { readonly actor: string; readonly cid: string },
): Promise<{ readonly before: Installation; readonly after: Installation }> {
  return database.transaction(async (transaction) => {
    const [before] = await transaction
      .select({ id: installation.id, name: installation.name })
      .from(installation)
      .for('update');
    const [after] = await transaction
      .update(installation)
      .set({ id: sql`gen_random_uuid()::text`, madeTime: sql`clock_timestamp()`, name: null })
      .returning({ id: installation.id, name: installation.name });
    if (before === undefined || after === undefined)
      throw new Error('The table installation of this database is empty.');
    await appendAudit(transaction, {
      ...{ customerId: 'operations', action: 'installation.renew', objectId: after.id, ...who },
      before: { ...before },
      after: { ...after },
    });
    return { before, after };
  });
}

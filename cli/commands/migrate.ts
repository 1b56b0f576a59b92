/** `pop migrate`: the schema of the database, and nothing else. */
import { databaseUrl } from '../../process/environment.ts';
import type { CommandSpec } from '../command.ts';
import { CommandError, exitCodes } from '../exit-codes.ts';
import { secondsOf } from '../option-values.ts';
import { addSettings, databaseOption, runWithSettings } from '../program-options.ts';
import { untilDatabase } from '../until-database.ts';

/** `pop migrate` */
export const migrate: CommandSpec = {
  examples: [
    { line: 'pop migrate', does: 'bring the database of DATABASE_URL to the schema of this release' },
    { line: 'pop migrate --wait 60', does: 'before that, wait up to a minute for Postgres to answer' },
  ],
  description:
    'Brings the database to the schema of this release. What is done already is not done again; of several at once ' +
    'one works and the others wait for it. An api does the same when it starts.',
  declare: (command) => {
    addSettings(command, [databaseOption]);
    command.option('--wait <seconds>', 'longest wait for Postgres to answer', secondsOf, 0);
  },
  run: async (command) =>
    runWithSettings(command, async () => {
      const url = databaseUrl();
      const { wait: waitSeconds } = command.opts<{ readonly wait: number }>();
      const { openDatabase } = await import('../../db/connect.ts');
      const { migrateDatabase } = await import('../../db/migrate.ts');
      const { readSchemaVersion, SchemaTooNewError } = await import('../../db/schema-version.ts');
      await using database = openDatabase(url, { connections: 1, applicationName: 'pop migrate' });
      const before = await untilDatabase(waitSeconds, () => readSchemaVersion(database));
      await untilDatabase(waitSeconds, () => migrateDatabase(url));
      const after = await readSchemaVersion(database);
      if (after.kind === 'ahead') throw new CommandError(exitCodes.refused, new SchemaTooNewError(after).message);
      const done = after.schema - before.schema;
      console.log(
        `The database has ${after.schema} migrations; ${done === 0 ? 'none was missing' : `${done} are new`}.`,
      );
    }),
};

/** `pop installation renew`: a new id for a database that was copied from another installation's. */
import type { CommandSpec } from '../command.ts';
import { addSettings, databaseOption, runWithSettings, temporalOptions } from '../program-options.ts';

/** `pop installation renew` */
export const installationRenew: CommandSpec = {
  examples: [
    { line: 'pop installation renew', does: 'a new installation id, before any program starts on the copy' },
    { line: 'pop installation renew --take-over', does: 'the original is gone for good: its names in Temporal, too' },
  ],
  description:
    'Gives the database a new installation id: run it on a restored copy before any program starts on it, so that ' +
    "the copy and its original keep off each other's work in Temporal. It says what is to be set then.",
  declare: (command) => {
    command.option(
      '--take-over',
      "also give the names in Temporal's namespace to this database, whosever they were; refused while a control " +
        'worker works under them',
    );
    addSettings(command, [databaseOption, ...temporalOptions]);
  },
  run: async (command) =>
    runWithSettings(command, async () => {
      const { takeOver = false } = command.opts<{ takeOver?: boolean }>();
      const { renewInstallation } = await import('../../workers/renew-installation.ts');
      for (const line of await renewInstallation({ takeOver })) console.log(line);
    }),
};

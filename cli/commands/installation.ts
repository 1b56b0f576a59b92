/** `pop installation renew`: a new id for a database that was copied from another installation's. */
import { parseArgs } from 'node:util';
import { renewInstallation } from '../../workers/renew-installation.ts';
import type { Command } from '../command.ts';

const help = `pop installation renew [options]
  Gives the database a new installation id: run it on a restored copy before any program starts on it, so that
  the copy and its original keep off each other's work in Temporal. It says what is to be set then.

  --take-over  also give the names in Temporal's namespace to this database, whosever they were; refused while
               a control worker works under them

  Settings: DATABASE_URL, TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, POP_INSTALLATION`;

/** `pop installation …`. */
export const installation: Command = {
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { 'take-over': { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    if (positionals.length !== 1 || positionals[0] !== 'renew') {
      console.error(help);
      return 2;
    }
    for (const line of await renewInstallation({ takeOver: values['take-over'] })) console.log(line);
    return 0;
  },
};

/** `pop key rotate-launch-tokens`: a new key for the tokens of launches, with overlap. */
import { databaseUrl } from '../../process/environment.ts';
import type { CommandSpec } from '../command.ts';
import { addSettings, databaseOption, runWithSettings } from '../program-options.ts';
import { untilDatabase } from '../until-database.ts';

/** `pop key rotate-launch-tokens` */
export const keyRotateLaunchTokens: CommandSpec = {
  examples: [
    { line: 'pop key rotate-launch-tokens', does: 'a new key; tokens of the one before it stay valid' },
    { line: 'pop key rotate-launch-tokens --retire-all', does: 'somebody may have seen a key: older tokens are void' },
  ],
  description:
    'Makes a new key for the tokens with which handlers report by themselves. Tokens of the key before it stay valid ' +
    'until the next rotation: between two, wait longer than the longest handler runs.',
  declare: (command) => {
    command.option(
      '--retire-all',
      'tokens of every earlier key are taken no more: for a key that somebody may have seen',
    );
    addSettings(command, [databaseOption]);
  },
  run: async (command) =>
    runWithSettings(command, async () => {
      const { retireAll = false } = command.opts<{ retireAll?: boolean }>();
      const url = databaseUrl();
      const { openDatabase } = await import('../../db/connect.ts');
      const { rotateLaunchTokenKeys } = await import('../../db/operation/launch-token-keys.ts');
      await using database = openDatabase(url, { connections: 1, applicationName: 'pop key' });
      const { made, kept, retired } = await untilDatabase(0, () => rotateLaunchTokenKeys(database, { retireAll }));
      console.log(`Key ${made} signs the tokens of launches from now on; every api process knows it within 5 s.`);
      if (kept.length > 0) console.log(`Tokens of key ${kept.join(', ')} stay valid until the next rotation.`);
      if (retired.length > 0) console.log(`Retired: key ${retired.join(', ')}.`);
    }),
};

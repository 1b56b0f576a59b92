/** `pop key create --first`: the key that all others are made with. */
import type { FileHandle } from 'node:fs/promises';
import { databaseUrl } from '../../process/environment.ts';
import type { CommandSpec } from '../command.ts';
import { CommandError, exitCodes } from '../exit-codes.ts';
import { secondsOf } from '../option-values.ts';
import { addSettings, databaseOption, runWithSettings, type SettingOption } from '../program-options.ts';
import { untilDatabase } from '../until-database.ts';

interface KeyOptions {
  readonly first?: boolean;
  readonly title: string;
  readonly file?: string;
  readonly wait: number;
}

const environmentOption: SettingOption = [
  '--key-environment <word>',
  'the part of the key between pop_ and its prefix; live',
  'POP_KEY_ENVIRONMENT',
];

/** `pop key create` */
export const keyCreate: CommandSpec = {
  examples: [
    { line: 'pop key create --first', does: 'print the first key of a fresh database' },
    { line: 'pop key create --first --file operator.key', does: 'write it to a file that its owner alone can read' },
  ],
  description:
    'Makes the first key of a fresh database, which may do everything, and shows it once. Where there is a key ' +
    'already it ends with 3 and changes nothing: with that key the api makes all others (POST /v1/apikey). The ' +
    'database must have its schema (pop migrate).',
  declare: (command) => {
    command.option('--first', 'say that it is the first: no other is made here');
    command.option('--file <file>', 'a new file, instead of stdout');
    command.option('--title <text>', 'what it is called', 'first key');
    command.option('--wait <seconds>', 'longest wait for Postgres to answer', secondsOf, 0);
    addSettings(command, [databaseOption, environmentOption]);
  },
  run: async (command) =>
    runWithSettings(command, async () => {
      const { first, title, file, wait } = command.opts<KeyOptions>();
      if (first !== true)
        throw new CommandError(exitCodes.usage, '--first is missing: other keys are made by the api (POST /v1/apikey)');
      const url = databaseUrl();
      const { key, prefix } = await createFirst(url, title, file, wait);
      if (file === undefined) console.log(key);
      else console.error(`The key ${prefix} is in ${file}.`);
    }),
};

async function createFirst(url: string, title: string, file: string | undefined, waitSeconds: number) {
  const { openDatabase } = await import('../../db/connect.ts');
  const { readSchemaVersion } = await import('../../db/schema-version.ts');
  const { createFirstKey } = await import('../../db/settings/first-key.ts');
  await using database = openDatabase(url, { connections: 1, applicationName: 'pop key' });
  const { kind } = await untilDatabase(waitSeconds, () => readSchemaVersion(database));
  if (kind === 'behind') throw new CommandError(exitCodes.failed, 'the database lacks its schema: pop migrate');
  const kept = file === undefined ? undefined : await newFile(file);
  let isMade = false;
  try {
    const made = await createFirstKey(database, {
      environment: process.env.POP_KEY_ENVIRONMENT || 'live',
      title,
      cid: `first-key-${Date.now()}`,
      keep: async (key) => {
        await kept?.writeFile(`${key}\n`);
        await kept?.sync();
      },
    });
    isMade = made !== undefined;
    if (made !== undefined) return made;
    throw new CommandError(exitCodes.refused, 'there is a key already, nothing was made');
  } finally {
    await kept?.close();
    if (!isMade && file !== undefined) await (await import('node:fs/promises')).rm(file);
  }
}

/** Made before the key is: one that is there is somebody's, maybe a key. @throws CommandError */
async function newFile(file: string): Promise<FileHandle> {
  const { open } = await import('node:fs/promises');
  try {
    return await open(file, 'wx', 0o600);
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CommandError(
      isThere ? exitCodes.refused : exitCodes.failed,
      isThere ? `${file} is there already, nothing was made` : `${file} cannot be made: ${(error as Error).message}`,
    );
  }
}

/** `pop key rotate-launch-tokens`: a new key for the tokens of launches, with overlap. */
import { parseArgs } from 'node:util';
import { openDatabase } from '../../db/connect.ts';
import { rotateLaunchTokenKeys } from '../../db/operation/launch-token-keys.ts';
import type { Command } from '../command.ts';

const help = `pop key rotate-launch-tokens [--retire-all]
  Makes a new key for the tokens with which handlers report by themselves. It needs DATABASE_URL, as the api does.
  Tokens of the key before it stay valid until the next rotation: between two, wait longer than the longest
  handler runs.

  --retire-all   tokens of every earlier key are taken no more: for a key that somebody may have seen`;

async function run([action, ...args]: readonly string[]): Promise<number> {
  if (action !== 'rotate-launch-tokens') {
    const given = action === undefined ? 'an action is missing' : `there is no action ${JSON.stringify(action)}`;
    console.error(`pop key: ${given}; known is rotate-launch-tokens`);
    return 2;
  }
  const { values } = parseArgs({ args: [...args], options: { 'retire-all': { type: 'boolean', default: false } } });
  const url = process.env.DATABASE_URL;
  if (url === undefined || url === '') throw new Error('the setting DATABASE_URL is missing');
  await using database = openDatabase(url, { connections: 1, applicationName: 'pop key' });
  const { made, kept, retired } = await rotateLaunchTokenKeys(database, { retireAll: values['retire-all'] });
  console.log(`Key ${made} signs the tokens of launches from now on; every api process knows it within 5 s.`);
  if (kept.length > 0) console.log(`Tokens of key ${kept.join(', ')} stay valid until the next rotation.`);
  if (retired.length > 0) console.log(`Retired: key ${retired.join(', ')}.`);
  return 0;
}

/** `pop key` */
export const key: Command = { help, run };

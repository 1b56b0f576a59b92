import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { type Database, openDatabase } from '../db/connect.ts';
import { createKey, knowsKey } from '../db/settings/first-key.ts';

/** The keys of one machine, as in `keys.json` (readable by its owner only). */
export interface Keys {
  /** May do everything. */
  readonly operator: string;
  /** May serve the machine's own pool. */
  readonly pool: string;
}

/** The keys of the file where the database knows them, else new ones in both. */
export async function ensureKeys(file: string, databaseUrl: string, poolId: string): Promise<Keys> {
  await using database = openDatabase(databaseUrl, { connections: 1, applicationName: 'pop up' });
  const found = existsSync(file) ? await readKeys(file) : {};
  const known = await Promise.all([
    knowsKey(database, found.operator ?? '', 'admin'),
    knowsKey(database, found.pool ?? '', `pool:${poolId}`),
  ]);
  if (known.every(Boolean)) return found as Keys;
  const keys: Keys = {
    operator: await newKey(database, { title: 'operator of this machine', superUser: true, scopes: ['admin'] }),
    pool: await newKey(database, { title: `pool worker of ${poolId}`, superUser: false, scopes: [`pool:${poolId}`] }),
  };
  const fresh = `${file}.new-${process.pid}`;
  await writeFile(fresh, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600 });
  await rename(fresh, file);
  return keys;
}

async function readKeys(file: string): Promise<Partial<Keys>> {
  const text = await readFile(file, 'utf8');
  try {
    return JSON.parse(text) as Partial<Keys>;
  } catch (cause) {
    // Not its text: it holds keys.
    throw new Error(`${file} is not JSON; mend it, or remove it and new keys are made.`, { cause });
  }
}

async function newKey(
  database: Database,
  key: { title: string; superUser: boolean; scopes: string[] },
): Promise<string> {
  return (await createKey(database, 'local', { ...key, accounts: [] })).key;
}

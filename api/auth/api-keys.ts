/**
 * API keys: `pop_<env>_<prefix>_<secret><checksum>`. The prefix is public and finds the row, of the rest only a SHA-256 is
 * stored (the secret has 190 random bits, so nothing slower is needed). The checksum is looked at before the database is,
 * so typing errors and random guesses cost no query.
 */
import { createHash, randomInt, timingSafeEqual } from 'node:crypto';
import { eq, sql } from 'drizzle-orm';
import type { Database } from '../../db/connect.ts';
import { apiKey } from '../../db/schema.ts';
import { unauthenticated } from '../http/problem.ts';
import type { Access, Authorize } from './authorize.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const prefixLength = 12;
const secretLength = 32;
const checksumLength = 6;
const pattern = new RegExp(
  `^pop_[a-z0-9]{1,16}_([0-9A-Za-z]{${prefixLength}})_[0-9A-Za-z]{${secretLength + checksumLength}}$`,
);

/** How long a verified key is believed without asking the database again: a deleted key works at most this much longer. */
export const keyCacheSeconds = 5;
const mostCachedKeys = 10_000;

export interface NewKey {
  /** Shown once, to whoever asked for it. */
  readonly key: string;
  readonly prefix: string;
  /** What is stored. */
  readonly hash: string;
}

/** Makes a key; `environment` (such as `live`, `test`, `dev`) lets people and secret scanners tell keys apart. */
export function makeKey(environment: string): NewKey {
  if (!/^[a-z0-9]{1,16}$/.test(environment))
    throw new Error(`the environment of a key is 1 to 16 of a-z and 0-9, not ${JSON.stringify(environment)}`);
  const prefix = randomText(prefixLength);
  const body = `pop_${environment}_${prefix}_${randomText(secretLength)}`;
  const key = body + checksumOf(body);
  return { key, prefix, hash: hashOf(key) };
}

/** The prefix of a well-formed key, else undefined. Asks nobody. */
export function prefixOf(key: string): string | undefined {
  const found = pattern.exec(key);
  if (found === null) return undefined;
  return checksumOf(key.slice(0, -checksumLength)) === key.slice(-checksumLength) ? found[1] : undefined;
}

export interface StoredKey {
  readonly title?: string;
  readonly accounts: readonly string[];
  readonly superUser: boolean;
  readonly scopes: readonly string[];
  readonly expiresTime?: Date;
}

/** Makes and stores a key, for whoever bootstraps an installation; the api's own route does it with an audit entry. */
export async function createKey(database: Database, environment: string, stored: StoredKey): Promise<NewKey> {
  const made = makeKey(environment);
  await database.insert(apiKey).values({ ...keyRow(stored), prefix: made.prefix, hash: made.hash });
  return made;
}

/** The columns of a key apart from its prefix and hash. */
export function keyRow(stored: StoredKey): Omit<typeof apiKey.$inferInsert, 'prefix' | 'hash'> {
  return {
    title: stored.title ?? null,
    accounts: [...stored.accounts],
    superUser: stored.superUser,
    scopes: [...stored.scopes],
    expiresTime: stored.expiresTime ?? null,
  };
}

/** `Authorization: Bearer <key>`, checked against the table of keys. */
export function authorizeByKey(database: Database, options: { readonly cacheSeconds?: number } = {}): Authorize {
  const cacheMilliseconds = (options.cacheSeconds ?? keyCacheSeconds) * 1000;
  const verified = new Map<string, { readonly access: Access; readonly until: number }>();
  return async (request) => {
    const key = bearerOf(request);
    const prefix = prefixOf(key);
    if (prefix === undefined) throw unauthenticated('The credential is not an API key of this service.');
    const hash = hashOf(key);
    const known = verified.get(hash);
    // A monotonic clock: a step of the wall clock must not prolong a deleted key.
    if (known !== undefined && known.until > performance.now()) return known.access;
    verified.delete(hash);
    const access = await lookUp(database, prefix, hash);
    if (cacheMilliseconds > 0) {
      if (verified.size >= mostCachedKeys) verified.clear();
      verified.set(hash, { access, until: performance.now() + cacheMilliseconds });
    }
    return access;
  };
}

async function lookUp(database: Database, prefix: string, hash: string): Promise<Access> {
  const [row] = await database
    .select({
      hash: apiKey.hash,
      accounts: apiKey.accounts,
      superUser: apiKey.superUser,
      scopes: apiKey.scopes,
      expiresTime: apiKey.expiresTime,
      expired: sql<boolean>`coalesce(${apiKey.expiresTime} <= clock_timestamp(), false)`,
      useIsNews: sql<boolean>`coalesce(${apiKey.lastUsedTime} < clock_timestamp() - interval '1 minute', true)`,
    })
    .from(apiKey)
    .where(eq(apiKey.prefix, prefix));
  // One answer for a wrong and for a missing key; the comparison takes the same time wherever they differ.
  if (row === undefined || !timingSafeEqual(Buffer.from(row.hash, 'hex'), Buffer.from(hash, 'hex')))
    throw unauthenticated('The API key is not known.');
  if (row.expired) throw unauthenticated('The API key has expired.');
  if (row.useIsNews) {
    await database.update(apiKey).set({ lastUsedTime: sql`clock_timestamp()` }).where(eq(apiKey.prefix, prefix));
  }
  const pool = row.scopes.find((scope) => scope.startsWith('pool:'))?.slice('pool:'.length);
  return {
    userId: prefix,
    accounts: row.accounts,
    superUser: row.superUser,
    scopes: row.scopes,
    ...(pool === undefined ? {} : { pool }),
    ...(row.expiresTime === null ? {} : { expiresTime: row.expiresTime }),
  };
}

function bearerOf(request: Request): string {
  const header = request.headers.get('authorization');
  if (header === null) throw unauthenticated('A credential is required: send "Authorization: Bearer <key>".');
  const found = /^bearer +(\S+)$/i.exec(header.trim());
  if (found?.[1] === undefined) throw unauthenticated('The Authorization header must read "Bearer <key>".');
  return found[1];
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

function checksumOf(body: string): string {
  let number = createHash('sha256').update(body).digest().readUInt32BE(0);
  let text = '';
  for (let digit = 0; digit < checksumLength; digit += 1) {
    text = alphabet.charAt(number % alphabet.length) + text;
    number = Math.floor(number / alphabet.length);
  }
  return text;
}

function randomText(length: number): string {
  return Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join('');
}

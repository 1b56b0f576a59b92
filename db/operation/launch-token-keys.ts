/** The keys that tokens of launches are signed with: made at migration, replaced with overlap. */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { Database } from '../connect.ts';

/** A key that is in use. */
export interface LaunchTokenKey {
  /** Rises; the highest signs. */
  readonly number: number;
  /** 32 bytes; made once, for tokens are signed by the hundred. */
  readonly secret: KeyObject;
}

/** What a rotation did. */
export interface Rotation {
  /** Number of the key that signs from now on. */
  readonly made: number;
  /** Keys before it whose tokens are still taken, newest first. */
  readonly kept: readonly number[];
  /** Keys whose tokens are taken no more from now on, newest first. */
  readonly retired: readonly number[];
}

/** Keys whose tokens are taken, newest first. */
async function readKeys(database: Database): Promise<readonly LaunchTokenKey[]> {
  const rows = await database.$client<{ number: number; secret: string }[]>`
    /* launchTokenKeys: read */
    select number::int, secret from launch_token_key
    where retired_time is null or retired_time > clock_timestamp() order by number desc`;
  return rows.map(({ number, secret }) => ({ number, secret: createSecretKey(secret, 'hex') }));
}

/**
 * Adds a key, which signs from now on. The key before it stays valid, so that handlers that run now keep their tokens;
 * older ones are retired. `retireAll` retires every key before the new one, for a key that somebody may have seen.
 */
export async function rotateLaunchTokenKeys(
  database: Database,
  { retireAll = false }: { readonly retireAll?: boolean } = {},
): Promise<Rotation> {
  return (await database.$client.begin(async (sql) => {
    // Two rotations at once would each keep the key before its own, and retire too little.
    await sql`/* rotateLaunchTokenKeys: lock */ lock table launch_token_key in share row exclusive mode`;
    const before = await sql<{ number: number }[]>`
      /* rotateLaunchTokenKeys: in use */
      select number::int from launch_token_key where retired_time is null order by number desc`;
    const numbers = before.map(({ number }) => number);
    const retired = retireAll ? numbers : numbers.slice(1);
    await sql`
      /* rotateLaunchTokenKeys: retire */
      update launch_token_key set retired_time = clock_timestamp() where number = any(${retired})`;
    const [made] = await sql<{ number: number }[]>`
      /* rotateLaunchTokenKeys: add */
      insert into launch_token_key (secret) values (${randomBytes(32).toString('hex')}) returning number::int`;
    if (made === undefined) throw new Error('an inserted key was not returned');
    return { made: made.number, kept: retireAll ? [] : numbers.slice(0, 1), retired };
  })) as Rotation;
}

/** How long a process believes what it read: a retired key's tokens are taken at most this much longer. */
const believedSeconds = 5;

/** The keys, as one process keeps them between two looks. */
export class LaunchTokenKeys {
  readonly #database: Database;
  readonly #believedMilliseconds: number;
  #keys: Promise<readonly LaunchTokenKey[]> | undefined;
  #readTime = 0;

  constructor(database: Database, options: { readonly believedSeconds?: number } = {}) {
    this.#database = database;
    this.#believedMilliseconds = (options.believedSeconds ?? believedSeconds) * 1_000;
  }

  /** The one to sign with. */
  async newest(): Promise<LaunchTokenKey> {
    const [newest] = await this.#current();
    if (newest === undefined)
      throw new Error('There is no key for tokens of launches; pop key rotate-launch-tokens makes one.');
    return newest;
  }

  /** The key with this number; undefined when there is none or it is retired. */
  async find(number: number): Promise<LaunchTokenKey | undefined> {
    let keys = await this.#current();
    // A rotation that another process has seen already.
    if (number > (keys[0]?.number ?? 0)) keys = await this.#read();
    return keys.find((key) => key.number === number);
  }

  async #current(): Promise<readonly LaunchTokenKey[]> {
    const isBelieved = performance.now() - this.#readTime < this.#believedMilliseconds;
    return this.#keys !== undefined && isBelieved ? this.#keys : this.#read();
  }

  #read(): Promise<readonly LaunchTokenKey[]> {
    const reading = readKeys(this.#database);
    this.#keys = reading;
    this.#readTime = performance.now();
    // What failed is not believed: the next one asks again.
    reading.catch(() => {
      if (this.#keys === reading) this.#keys = undefined;
    });
    return reading;
  }
}

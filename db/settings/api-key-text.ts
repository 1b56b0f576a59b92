/**
 * What an API key looks like: `pop_<env>_<prefix>_<secret><checksum>`. The prefix is public and finds the row, of the
 * rest only a SHA-256 is stored (the secret has 190 random bits, so nothing slower is needed). The checksum is looked
 * at before the database is, so typing errors and random guesses cost no query.
 */
import { createHash, randomInt } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const prefixLength = 12;
const secretLength = 32;
const checksumLength = 6;
const pattern = new RegExp(
  `^pop_[a-z0-9]{1,16}_([0-9A-Za-z]{${prefixLength}})_[0-9A-Za-z]{${secretLength + checksumLength}}$`,
);

/** A key that was just made. */
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

/** What is stored of a key: SHA-256, in hex. */
export function hashOf(key: string): string {
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

/** A program that uses the database begins only when the database fits it. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Database, isDatabaseAway } from '../db/connect.ts';
import { readSchemaVersion, SchemaTooNewError } from '../db/schema-version.ts';

const waitMilliseconds = 1_000;

/**
 * Resolves when the database has every migration that this program knows, or the signal aborts; the api migrates at its
 * start.
 * @throws SchemaTooNewError when a newer release took away what this program needs.
 */
export async function waitForSchema(database: Database, log: Logger, signal: AbortSignal): Promise<void> {
  let told = '';
  while (!signal.aborted) {
    const trouble = await look(database);
    if (trouble === undefined) return;
    if (trouble !== told) log.warn(trouble);
    told = trouble;
    await delay(waitMilliseconds, undefined, { signal }).catch(() => undefined);
  }
}

/** What keeps this program from beginning. */
async function look(database: Database): Promise<string | undefined> {
  try {
    const version = await readSchemaVersion(database);
    if (version.kind === 'ahead') throw new SchemaTooNewError(version);
    if (version.kind === 'fits') return undefined;
    return (
      `the database has ${version.schema} of ${version.needed} migrations; ` +
      'waiting for an api of this release to migrate it'
    );
  } catch (error) {
    if (!isDatabaseAway(error)) throw error;
    return 'Postgres does not answer yet; trying on';
  }
}

/**
 * Keeps a program off the workflows of another installation: what the database says of itself is compared with the
 * marker in Temporal's namespace, at the start and then now and then, for Temporal's store may be lost or replaced and
 * the id renewed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../db/connect.ts';
import { OtherNameError, readInstallation, takeInstallationName } from '../db/installation.ts';
import { SettingError } from '../process/environment.ts';
import type { TemporalClient } from '../temporal/connect.ts';
import { checkMarker, claimNames, describeNames, lookMilliseconds } from '../temporal/installation-marker.ts';

/** What both sides are asked with. */
export interface GuardParts {
  readonly database: Pick<Database, '$client'>;
  readonly client: TemporalClient;
  readonly log: Logger;
}

/** Between two looks of an api that keeps away. */
const closedMilliseconds = 5_000;
/** Between two looks while Postgres or Temporal does not answer: requests in between are not held up by asking. */
const awayMilliseconds = 1_000;

/**
 * Takes the names for the installation of this database, for a control worker that begins. @throws SettingError when
 * they are another's
 */
export async function enterNamespace(parts: GuardParts & { readonly database: Database }): Promise<void> {
  const { id } = await takeInstallationName(parts.database, parts.client.names.installation);
  await claimNames(parts.client, id);
  parts.log.info({ installationId: id, ...where(parts.client) }, 'installation');
}

/**
 * Looks again and again until the signal aborts, and makes the marker anew where it was lost. @throws SettingError
 * when the names became another's
 */
export async function keepNamespace(parts: GuardParts, signal: AbortSignal, every = lookMilliseconds): Promise<void> {
  for (;;) {
    await delay(every, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await claimNames(parts.client, await ownId(parts));
    } catch (error) {
      if (error instanceof SettingError) throw error;
      // Either side is away: the next look will tell.
      parts.log.debug({ err: error }, 'the marker of the installation was not read');
    }
  }
}

/** The id of the database, when it goes by the names of this program. @throws OtherNameError */
async function ownId({ database, client }: GuardParts): Promise<string> {
  const { id, name } = await readInstallation(database);
  if (name !== null && name !== client.names.installation) throw new OtherNameError(name, client.names.installation);
  return id;
}

/**
 * Whether an api may speak to the workflows; it serves without that, for the sweep of the control worker does what it
 * left.
 */
export class NamespaceGate {
  readonly #parts: GuardParts;
  #trouble: SettingError | undefined;
  #away: { readonly error: unknown } | undefined;
  #looking: Promise<void> | undefined;
  #knownUntil = 0;
  #quietUntil = 0;

  constructor(parts: GuardParts) {
    this.#parts = parts;
  }

  /** False while the names are another installation's. @throws while Postgres or Temporal is away */
  async isOpen(): Promise<boolean> {
    if (performance.now() >= this.#knownUntil) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    }
    if (this.#away !== undefined) throw this.#away.error;
    return this.#trouble === undefined;
  }

  /**
   * The first look. @throws SettingError when the names are another installation's; never because one of the two is
   * away
   */
  async refuseOthers(): Promise<void> {
    try {
      await checkMarker(this.#parts.client, (await readInstallation(this.#parts.database)).id);
    } catch (error) {
      if (error instanceof SettingError) throw error;
      this.#parts.log.debug({ err: error }, 'the marker of the installation was not read');
    }
  }

  async #look(): Promise<void> {
    try {
      await checkMarker(this.#parts.client, await ownId(this.#parts));
      this.#trouble = undefined;
    } catch (error) {
      if (!(error instanceof SettingError)) {
        this.#away = { error };
        this.#knownUntil = performance.now() + awayMilliseconds;
        return;
      }
      this.#trouble = error;
      this.#complain(error);
    }
    this.#away = undefined;
    // A control worker with the right names may be about to start.
    this.#knownUntil = performance.now() + (this.#trouble === undefined ? lookMilliseconds : closedMilliseconds);
  }

  /** Once a minute: whoever runs it is to notice. */
  #complain(trouble: SettingError): void {
    if (performance.now() < this.#quietUntil) return;
    this.#quietUntil = performance.now() + 60_000;
    this.#parts.log.error(where(this.#parts.client), `nothing is said to Temporal: ${trouble.message}`);
  }
}

const where = ({ names, options }: TemporalClient) => ({ namespace: options.namespace, names: describeNames(names) });

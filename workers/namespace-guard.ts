/**
 * Keeps a program off the workflows of another installation: what the database says of itself is compared with the
 * marker in Temporal's namespace, at the start and then now and then, for Temporal's store may be lost or replaced and
 * the id renewed.
 */
import type { Logger } from 'pino';
import type { Database } from '../db/connect.ts';
import { OtherNameError, readInstallation, takeInstallationName } from '../db/installation.ts';
import { SettingError } from '../process/environment.ts';
import type { TemporalClient } from '../temporal/connect.ts';
import {
  checkMarker,
  claimNames,
  describeNames,
  lookAgain,
  lookMilliseconds,
  unlessAway,
} from '../temporal/installation-marker.ts';

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
export function keepNamespace(parts: GuardParts, signal: AbortSignal, every = lookMilliseconds): Promise<void> {
  return lookAgain(async () => claimNames(parts.client, await ownId(parts)), signal, parts.log, every);
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
  /** The newest look, shared by all who ask until its time is up. */
  #answer: Promise<boolean> | undefined;
  #knownUntil = 0;
  /** What was told last, and until when it is not told again. */
  #told = { isClosed: false, until: 0 };

  constructor(parts: GuardParts) {
    this.#parts = parts;
  }

  /** False while the names are another installation's, and while Postgres or Temporal is away. */
  isOpen(): Promise<boolean> {
    if (this.#answer === undefined || performance.now() >= this.#knownUntil) {
      this.#knownUntil = Number.POSITIVE_INFINITY;
      this.#answer = this.#look();
    }
    return this.#answer;
  }

  /**
   * The first look. @throws SettingError when the names are another installation's; never because one of the two is
   * away
   */
  async refuseOthers(): Promise<void> {
    await unlessAway(
      async () => checkMarker(this.#parts.client, (await readInstallation(this.#parts.database)).id),
      this.#parts.log,
    );
  }

  async #look(): Promise<boolean> {
    let untilNext = lookMilliseconds;
    try {
      await checkMarker(this.#parts.client, await ownId(this.#parts));
      this.#told.until = 0;
      return true;
    } catch (error) {
      // A control worker with the right names may be about to start.
      untilNext = error instanceof SettingError ? closedMilliseconds : awayMilliseconds;
      this.#complain(error);
      return false;
    } finally {
      this.#knownUntil = performance.now() + untilNext;
    }
  }

  /** At once, then once a minute while it lasts: whoever runs it is to notice, and no request adds a line. */
  #complain(trouble: unknown): void {
    const isClosed = trouble instanceof SettingError;
    if (isClosed === this.#told.isClosed && performance.now() < this.#told.until) return;
    this.#told = { isClosed, until: performance.now() + 60_000 };
    const { client, log } = this.#parts;
    if (isClosed) log.error(where(client), `nothing is said to Temporal: ${trouble.message}`);
    else log.warn({ err: trouble }, 'Postgres or Temporal does not answer; the sweep repeats what workflows miss');
  }
}

const where = ({ names, options }: TemporalClient) => ({ namespace: options.namespace, names: describeNames(names) });

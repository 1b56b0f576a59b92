/**
 * Tokens with which the handler of one launch reports by itself: `popl_<key number>_<payload>_<mac>`. The payload says
 * which launch, the MAC (HMAC-SHA256) that this service said so. It has no clock: a token is good for nothing once
 * another launch is the current one or its Operation has ended, which every report is checked for anyway.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Database } from '../../db/connect.ts';
import { type LaunchTokenKey, LaunchTokenKeys } from '../../db/operation/launch-token-keys.ts';
import type { Fence } from '../../messages/resource-pool.ts';
import { unauthenticated } from '../http/problem.ts';
import { bearerOf } from './api-keys.ts';
import type { Access, Authorize } from './authorize.ts';

/** A launch and the pool that it runs in. */
export interface LaunchOfPool extends Fence {
  readonly resourcePoolId: string;
}

const prefix = 'popl_';
/** A MAC has 64 hexadecimal digits; ids and names have limits, so a token does. */
const pattern = /^(popl_([1-9][0-9]{0,8})_([A-Za-z0-9_-]{1,2000}))_([0-9a-f]{64})$/;

/** Gives out tokens and knows them again. */
export class LaunchTokens {
  readonly #keys: LaunchTokenKeys;

  constructor(database: Database, keys: LaunchTokenKeys = new LaunchTokenKeys(database)) {
    this.#keys = keys;
  }

  /** A token for each, in the same order. */
  async sign(launches: readonly LaunchOfPool[]): Promise<string[]> {
    if (launches.length === 0) return [];
    const key = await this.#keys.newest();
    return launches.map((launch) => {
      const body = `${prefix}${key.number}_${payloadOf(launch)}`;
      return `${body}_${macOf(key, body)}`;
    });
  }

  /** The launch that a token is for. @throws ProblemError 401 */
  async verify(token: string): Promise<LaunchOfPool> {
    const [, body = '', number = '', payload = '', mac = ''] = pattern.exec(token) ?? [];
    const key = body === '' ? undefined : await this.#keys.find(Number(number));
    // One answer for all that is wrong with it.
    if (key === undefined || !timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(macOf(key, body), 'hex')))
      throw unauthenticated('The credential is not a token of a launch, or its key is retired.');
    return launchOf(payload);
  }

  /** Takes these tokens too; every other credential is for `otherwise`. */
  authorize(otherwise: Authorize): Authorize {
    return async (request) => {
      const header = request.headers.get('authorization') ?? '';
      if (!/^bearer +popl_/i.test(header.trim())) return otherwise(request);
      const { resourcePoolId, ...launch } = await this.verify(bearerOf(request));
      const access: Access = {
        userId: 'launch',
        accounts: [],
        superUser: false,
        scopes: [],
        pool: resourcePoolId,
        launch,
      };
      return access;
    };
  }
}

function macOf({ secret }: LaunchTokenKey, body: string): string {
  return createHmac('sha256', secret).update(body).digest('hex');
}

function payloadOf({ resourcePoolId, agendaId, attempt, operation, operationAttempt, launch }: LaunchOfPool): string {
  const parts = [resourcePoolId, agendaId, attempt, operation, operationAttempt, launch];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** Of a payload that this service has signed. */
function launchOf(payload: string): LaunchOfPool {
  const parts = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [
    string,
    string,
    number,
    string,
    number,
    number,
  ];
  const [resourcePoolId, agendaId, attempt, operation, operationAttempt, launch] = parts;
  return { resourcePoolId, agendaId, attempt, operation, operationAttempt, launch };
}

/** The running system as its users meet it: over HTTP, each with a key of their own. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject } from 'vitest';
import type { Send } from '../support/test-app.ts';

/** The running system: its addresses and the operator's key. */
export const system = inject('system');

/** Sends requests with this key; without one, with no credential. */
export function sender(key?: string): Send {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(`${system.url}${path}`, {
      method,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text || undefined };
  };
}

/** Sends requests as the operator. */
export const operator = sender(system.operatorKey);
/** Sends requests without a credential. */
export const anonymous = sender();

/** Sends a request that is to succeed, and returns the body of the answer. */
export async function done(send: Send, ...request: Parameters<Send>) {
  const { status, body } = await send(...request);
  expect(status, `${request[0]} ${request[1]}: ${JSON.stringify(body)}`).toBeOneOf([200, 201, 202]);
  return body;
}

/**
 * Waits until `look` returns something else than undefined, and returns that.
 * @throws when it takes too long.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  seconds = 60,
): Promise<T> {
  const giveUp = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > giveUp) throw new Error(`After ${seconds} s still not so: ${what}`);
    await delay(50);
  }
}

/** An id that nobody had before. */
export const newId = (what: string): string => `${what}-${randomUUID().slice(0, 13)}`;

/** The fields of an answer. */
export type Fields = Readonly<Record<string, unknown>>;

/** A Customer with a key, and an Insight that takes whatever it submits. */
export interface Tenant {
  readonly customerId: string;
  readonly insightId: string;
  /** As this customer: may read, submit and operate. */
  readonly send: Send;
}

/** Makes a Customer with an Insight of its own; `insight` has more fields for that. */
export async function newTenant(insight: Fields = {}, resourcePoolId = system.poolId): Promise<Tenant> {
  const customerId = newId('customer');
  const insightId = newId('insight');
  await done(operator, 'POST', '/customer', { id: customerId, customerId, title: customerId, resourcePoolId });
  const fields = { id: insightId, customerId, title: insightId, resourcePoolId, mappers: { always: [] } };
  await done(operator, 'POST', '/insight', { ...fields, ...insight });
  return { customerId, insightId, send: await newCaller(customerId) };
}

/** A caller that acts for these customers. */
export async function newCaller(...accounts: string[]): Promise<Send> {
  return sender((await done(operator, 'POST', '/apikey', { accounts, scopes: ['read', 'submit', 'operate'] })).key);
}

/** Submits an Agenda for the tenant and returns it as stored. */
export async function submit({ send, customerId }: Tenant, agenda: Fields) {
  return done(send, 'POST', '/agenda', { customerId, ...agenda });
}

/** The AgendaProgress as it is now. */
export async function progressOf({ send }: Pick<Tenant, 'send'>, { progressId }: { readonly progressId: string }) {
  return done(send, 'GET', `/progress/agenda/${progressId}`);
}

/** The AgendaProgress once the Agenda has ended. */
export async function ended(tenant: Pick<Tenant, 'send'>, agenda: { readonly progressId: string }, seconds = 60) {
  return until(
    'the Agenda has ended',
    async () => {
      const progress = await done(tenant.send, 'GET', `/progress/agenda/${agenda.progressId}?wait=10s`);
      return progress.processingState === 'COMPLETE' ? progress : undefined;
    },
    seconds,
  );
}

/** Submits an Agenda and waits for its end. */
export async function run(tenant: Tenant, agenda: Fields) {
  return ended(tenant, await submit(tenant, agenda));
}

/** The AgendaProgress once one of its Operations is in this state. */
export async function whenOperation(
  tenant: Tenant,
  agenda: { readonly progressId: string },
  name: string,
  state: string,
) {
  return until(`${name} is ${state}`, async () => {
    const progress = await progressOf(tenant, agenda);
    return operationOf(progress, name).processingState === state ? progress : undefined;
  });
}

/** One OperationProgress, as far as tests look into it. */
export interface OperationProgress {
  readonly id: string;
  readonly operation: string;
  readonly processingState: string;
  readonly processingStateMessage: string;
  readonly percentComplete: number;
  readonly startedTime: number;
  readonly completedTime: number;
  readonly admittedTime: number;
  readonly launch: number;
  readonly failureCode?: string;
  readonly blocked?: { readonly reason: string; readonly since: number };
  readonly resultPayload?: string;
  readonly diagnosticEvents?: readonly {
    readonly message: string;
    readonly code?: string;
    readonly statusCode?: number;
    readonly stackTrace?: string;
    readonly payload?: unknown;
  }[];
}

/** The part of an AgendaProgress that tells of one Operation. */
export function operationOf(
  progress: { readonly operationProgress: readonly OperationProgress[] },
  name: string,
): OperationProgress {
  const found = progress.operationProgress.find(({ operation }) => operation === name);
  if (found === undefined) throw new Error(`The AgendaProgress has no Operation ${name}.`);
  return found;
}

/** What one Operation returned. */
export function resultOf(progress: Parameters<typeof operationOf>[0], name: string) {
  return JSON.parse(operationOf(progress, name).resultPayload ?? 'null');
}

/** An Operation of the sample handler: does the actions in order, then returns `resultPayload`. */
export function sample(
  name: string,
  payload: { readonly actions?: readonly Fields[]; readonly resultPayload?: unknown } = {},
  more: Fields = {},
) {
  return { name, type: 'sample', payload, ...more };
}

/** Actions that take so long, with a report every second. */
export const sleeping = (milliseconds: number) => ({
  actions: [{ action: 'log', paramsMap: { logMessage: 'sleeping', sleepMilliseconds: milliseconds } }],
});

/** Most of these that were under way at one moment. */
export function mostAtOnce(operations: readonly Pick<OperationProgress, 'startedTime' | 'completedTime'>[]): number {
  return Math.max(
    ...operations.map(
      ({ startedTime }) =>
        operations.filter((o) => o.startedTime <= startedTime && startedTime < o.completedTime).length,
    ),
  );
}

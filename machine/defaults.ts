import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { System } from './system.ts';

/** The customer whose Agendas a fresh installation accepts. */
export const defaultCustomerId = 'demo';

/**
 * Gives a fresh installation what a first Agenda needs: the pool that the pool worker serves, a customer and an Insight
 * that takes everything. Once; what people change or delete later stays so.
 */
export async function ensureDefaults(system: System): Promise<void> {
  const marker = join(system.data, 'defaults-made');
  if (existsSync(marker)) return;
  const objects = [
    ['resourcepool', { id: system.poolId, customerId: 'operations', title: 'This machine', capacity: { slots: 100 } }],
    [
      'customer',
      { id: defaultCustomerId, customerId: defaultCustomerId, title: 'First customer', resourcePoolId: system.poolId },
    ],
    [
      'insight',
      {
        id: 'default',
        customerId: 'operations',
        title: 'Everything',
        resourcePoolId: system.poolId,
        mappers: { always: [] },
        isGlobal: true,
        // Behind every Insight that people make.
        order: 1000,
      },
    ],
  ] as const;
  for (const [kind, object] of objects) {
    const found = await ask(system, 'GET', `${kind}/${object.id}`);
    if (found.status !== 404) continue;
    const made = await ask(system, 'POST', kind, object);
    if (!made.ok) throw new Error(`The default ${kind} was not made: ${made.status} ${await made.text()}`);
  }
  await writeFile(marker, '');
}

/** A command that submits an Agenda to this system, as it is typed into a shell. */
export function firstCommand(system: System): string {
  const agenda = {
    customerId: defaultCustomerId,
    title: 'My first Agenda',
    operations: [{ name: 'hello', type: 'logMessages', payload: { logMessages: ['Hello from POP'] } }],
  };
  return [
    `curl -s ${system.urls.api}/agenda \\`,
    `  -H 'Authorization: Bearer ${system.keys.operator}' \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d '${JSON.stringify(agenda)}'`,
  ].join('\n');
}

async function ask(system: System, method: 'GET' | 'POST', path: string, body?: unknown): Promise<Response> {
  return fetch(`${system.urls.api}/${path}`, {
    method,
    headers: { authorization: `Bearer ${system.keys.operator}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(15_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

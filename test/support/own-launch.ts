/** A launch that no pool worker follows, for handlers that report by themselves. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ResourcePoolService } from './resource-pool-service.ts';

/** A launch of an Operation `step` of type `any`. */
export interface OwnLaunch extends Disposable {
  readonly agendaId: string;
  readonly token: string;
  readonly tokenFile: string;
  /** `POP_URL`, `POP_TOKEN_FILE` and `POP_LAUNCH`. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Begins a launch as a pool worker would; its token file is gone at the end of its scope. */
export async function ownLaunch(service: ResourcePoolService): Promise<OwnLaunch> {
  const agendaId = await service.admit([{ name: 'step', type: 'any' }]);
  const item = { agendaId, attempt: 1, operation: 'step', type: 'any', place: 'here', worker: 'w' };
  const response = await fetch(`${service.url}/resourcepool/service/startOperation`, {
    method: 'POST',
    headers: { authorization: `Bearer ${service.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ items: [item] }),
  });
  const { items } = (await response.json()) as {
    items: readonly { token?: string; operationAttempt: number; launch: number }[];
  };
  const [started] = items;
  if (started?.token === undefined) throw new Error(`not started: ${JSON.stringify(items)}`);
  const { token, operationAttempt, launch } = started;
  const folder = mkdtempSync(join(tmpdir(), 'pop-token-'));
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, token);
  return {
    agendaId,
    token,
    tokenFile,
    environment: {
      POP_URL: service.url,
      POP_TOKEN_FILE: tokenFile,
      POP_LAUNCH: JSON.stringify({ agendaId, attempt: 1, operation: 'step', operationAttempt, launch }),
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

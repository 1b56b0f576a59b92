import { get } from 'node:http';
import { get as getSecurely } from 'node:https';

/** Whom to trust and who asks; without `ca` a server of our own is taken at its word. */
export interface HealthCheck {
  readonly ca?: string;
  readonly token?: string;
}

/** Whether the address answers 200. A server that does not listen, or answers anything else, is not healthy. */
export function isHealthy(url: string, { ca, token }: HealthCheck = {}): Promise<boolean> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const trust = ca === undefined ? { rejectUnauthorized: false } : { ca };
  return new Promise((resolve) => {
    const options = { headers, timeout: 2000, agent: false as const };
    const asked = url.startsWith('https:') ? getSecurely(url, { ...options, ...trust }) : get(url, options);
    asked.once('response', (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(false));
    asked.once('close', () => resolve(false));
  });
}

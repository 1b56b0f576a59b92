/** How the fake API server answers, and which objects a label selector means. */
import type { ServerResponse } from 'node:http';

/** An answer that is not what was asked for. */
export interface Refusal {
  readonly status: number;
  readonly reason?: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The object that tells it. */
export const refusal = ({ status: code, reason, message }: Refusal) => ({
  ...{ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code },
  ...(reason !== undefined && { reason }),
});

/** Sends JSON. */
export function respond(response: ServerResponse, code: number, body: unknown, headers: object = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Selectors as we write them: `a=b`, `a`, `!a`, joined by commas. */
export function selects(
  selector: string,
  { metadata: { labels = {} } }: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } },
): boolean {
  return selector
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      if (term.startsWith('!')) return labels[term.slice(1)] === undefined;
      const [name = '', value] = term.split('=');
      return value === undefined ? labels[name] !== undefined : labels[name] === value;
    });
}

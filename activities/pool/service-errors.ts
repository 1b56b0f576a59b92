/** What can go wrong when a pool worker asks the ResourcePool service: a closed set of two. */

/** The service cannot answer now (network, 5xx, 408, 425, 429): the same request may succeed later. */
export class ServiceUnavailable extends Error {
  /** The service's own wish, from `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;
  constructor(message: string, retryAfterSeconds?: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ServiceUnavailable';
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The service refuses this request for good (401, 403, 404, 413, 422 …); repeating it unchanged is useless. */
export class ServiceRefused extends Error {
  readonly status: number;
  /** The problem's `code`, or `http<status>`. */
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ServiceRefused';
    this.status = status;
    this.code = code;
  }

  /** True when who sent it is at fault: a key that is not good, another pool's, another installation's worker. */
  get isAboutSender(): boolean {
    return this.status === 401 || this.status === 403 || this.code === 'wrongInstallation';
  }

  /**
   * True when what was sent is at fault, not who sent it or where: then one bad item spoils the request for its
   * neighbours.
   */
  get isAboutContent(): boolean {
    return this.status === 400 || this.status === 413 || this.status === 422;
  }
}

const repeatable = new Set([408, 425, 429]);

/** Tells a refusal from a passing trouble, with the message of the problem document when there is one. */
export function errorOf(response: Response, body: string): ServiceUnavailable | ServiceRefused {
  const problem = problemOf(body);
  const said = problem.message ?? (response.statusText || 'no message');
  const message = `The ResourcePool service answered ${response.status}: ${said}`;
  if (response.status >= 500 || repeatable.has(response.status))
    return new ServiceUnavailable(message, retryAfterSeconds(response.headers.get('retry-after')));
  return new ServiceRefused(response.status, problem.code ?? `http${response.status}`, message);
}

function problemOf(body: string): { message?: string; code?: string } {
  let problem: unknown;
  try {
    problem = JSON.parse(body);
  } catch {
    // Not a problem document (a proxy's page): its text is of no use to the reader of a log.
    return {};
  }
  if (typeof problem !== 'object' || problem === null) return {};
  const { title, detail, code, errors } = problem as {
    title?: unknown;
    detail?: unknown;
    code?: unknown;
    errors?: unknown;
  };
  const faults = Array.isArray(errors)
    ? errors.map((fault: { pointer?: unknown; message?: unknown }) =>
        `${String(fault.pointer ?? '')} ${String(fault.message ?? '')}`.trim(),
      )
    : [];
  const text = [detail ?? title, ...faults].filter((part) => typeof part === 'string' && part !== '').join('; ');
  return { ...(text === '' ? {} : { message: text }), ...(typeof code === 'string' ? { code } : {}) };
}

/** Seconds or an HTTP date; at most a minute, so that a wrong clock somewhere cannot silence a pool. */
export function retryAfterSeconds(header: string | null, now = Date.now()): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d+(\.\d+)?$/.test(header.trim()) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isFinite(seconds) ? Math.min(60, Math.max(0, seconds)) : undefined;
}

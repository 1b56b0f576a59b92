/**
 * Reports to POP's api, or to the pool worker that relays to it, with the token of the launch: `reportProgress` while
 * it works, and `finishOperation` at its end. The token is read anew for each report, since it may be rotated.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { waitAfter } from '../backoff.ts';
import type { HandlerEnd, Progress } from '../progress.ts';
import type { Json, JsonObject } from '../types.ts';
import { EndNotDelivered, goOn, type Outlet, type Wish } from './outlet.ts';
import { withinLimits } from './report-limits.ts';
import { type ResultFile, writeResultFile } from './result-file.ts';

/** Where to report, and as which launch. */
export interface HttpReport {
  /** `POP_URL`, such as `http://127.0.0.1:8080/v1`. */
  readonly url: string;
  /** `POP_TOKEN_FILE`. */
  readonly tokenFile: string;
  /** `POP_LAUNCH`: the five fields that name the launch. */
  readonly launch: JsonObject;
  readonly resultFile: ResultFile;
  /** Longest time that the report of the end is tried again. */
  readonly endSeconds: number;
}

/** An answer that is no verdict. */
class NotAnswered extends Error {
  /** Whether the same report may be taken later. */
  readonly isPassing: boolean;
  readonly waitMilliseconds: number | undefined;
  constructor(message: string, isPassing: boolean, waitMilliseconds?: number, cause?: unknown) {
    super(message, { cause });
    this.isPassing = isPassing;
    this.waitMilliseconds = waitMilliseconds;
  }
}

interface Verdict {
  readonly verdict: string;
  readonly outcome?: string;
  readonly message?: string;
}

const requestMilliseconds = 15_000;
const backoff = { firstMilliseconds: 250, mostMilliseconds: 10_000 };
const stopReasons: Readonly<Record<string, string>> = {
  cancelled: 'The Operation was cancelled.',
  over: 'This launch is over: the Operation has ended, or another launch took its place.',
};

/** Reports over HTTP. */
export class HttpOutlet implements Outlet {
  readonly leastMilliseconds: number = 1_000;
  readonly #to: HttpReport;

  constructor(to: HttpReport) {
    this.#to = to;
  }

  async progress(progress: Progress): Promise<Wish> {
    const { verdict } = await this.#post('reportProgress', fieldsOf(progress));
    const reason = stopReasons[verdict];
    return reason === undefined ? goOn : { wish: 'stop', reason };
  }

  /** The result goes into its file as well, where that takes it: then the end is known even when nobody answers. */
  async end(progress: Progress, end: HandlerEnd): Promise<void> {
    const { outcome, result } = end;
    const isInFile = result !== undefined && writeResultFile(this.#to.resultFile, result);
    const report = {
      ...fieldsOf(progress, end),
      outcome,
      ...(result !== undefined && { result: JSON.stringify(result) }),
    };
    let verdict: Verdict;
    try {
      verdict = await this.#postUntilTaken('finishOperation', report);
    } catch (error) {
      // The exit code says the rest.
      if (outcome === 'failed' || result === undefined || isInFile) {
        console.error(`Nobody took the report of the end; the exit code tells it. ${String(error)}`);
        return;
      }
      throw new EndNotDelivered(error instanceof Error ? error.message : String(error), error);
    }
    if (verdict.verdict === 'refused') throw new EndNotDelivered(verdict.message ?? 'it was refused');
  }

  async #postUntilTaken(operation: string, report: JsonObject): Promise<Verdict> {
    const lastTime = Date.now() + this.#to.endSeconds * 1_000;
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#post(operation, report);
      } catch (error) {
        if (!(error instanceof NotAnswered) || !error.isPassing) throw error;
        const wait = error.waitMilliseconds ?? waitAfter(failures, backoff);
        if (Date.now() + wait > lastTime)
          throw new Error(`not taken in ${this.#to.endSeconds} s. ${error.message}`, { cause: error });
        await delay(wait);
      }
    }
  }

  async #post(operation: string, report: JsonObject): Promise<Verdict> {
    const address = `${this.#to.url}/resourcepool/service/${operation}`;
    let response: Response;
    let body: string;
    try {
      response = await fetch(address, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.#token()}`, 'content-type': 'application/json' },
        body: JSON.stringify({ items: [{ ...this.#to.launch, ...report }] }),
        redirect: 'error',
        signal: AbortSignal.timeout(requestMilliseconds),
      });
      body = await response.text();
    } catch (error) {
      throw new NotAnswered(`${address} cannot be reached: ${causeOf(error)}`, true, undefined, error);
    }
    if (!response.ok) throw refusalOf(operation, response, body);
    const verdict = verdictIn(body);
    if (verdict === undefined) throw new NotAnswered(`${address} gave an answer without a verdict.`, true);
    return verdict;
  }

  #token(): string {
    return readFileSync(this.#to.tokenFile, 'utf8').trim();
  }
}

/** A report in the words of the ResourcePool service. */
function fieldsOf(progress: Progress, end?: HandlerEnd): JsonObject {
  const { message, percentComplete, diagnosticEvents, params } = withinLimits(progress);
  return {
    ...(end === undefined && message !== undefined && { message }),
    ...(end === undefined && { percentComplete }),
    ...(diagnosticEvents.length > 0 && { diagnosticEvents: diagnosticEvents as unknown as readonly Json[] }),
    ...(params !== undefined && { params }),
  };
}

/** A token that is not good now may be by the time it is read again; other faults of the request stay. */
function refusalOf(operation: string, response: Response, body: string): NotAnswered {
  const isPassing = response.status >= 500 || [401, 408, 425, 429].includes(response.status);
  const seconds = Number(response.headers.get('retry-after') || Number.NaN);
  const wait = Number.isFinite(seconds) ? Math.min(seconds, 60) * 1_000 : undefined;
  return new NotAnswered(`${operation} is answered with ${response.status}: ${body.slice(0, 500)}`, isPassing, wait);
}

function verdictIn(body: string): Verdict | undefined {
  try {
    const [verdict] = (JSON.parse(body) as { items?: readonly Verdict[] }).items ?? [];
    return typeof verdict?.verdict === 'string' ? verdict : undefined;
  } catch {
    // A proxy's page: asking again is harmless.
    return undefined;
  }
}

/** `fetch failed` says nothing; its cause does. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

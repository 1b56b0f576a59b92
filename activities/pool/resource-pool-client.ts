/** The pool worker's side of the ResourcePool service, its only door to the record. */
import { mostItems, mostProgressItems } from '../../messages/limits.ts';
import type {
  FinishOperationItem,
  FinishVerdict,
  ProgressVerdict,
  ReportProgressItem,
  StartOperationItem,
  StartVerdict,
  WorkerReport,
} from '../../messages/resource-pool.ts';
import { Gatherer, type GathererOptions, type ItemAnswer } from './gatherer.ts';
import { errorOf, ServiceRefused, ServiceUnavailable } from './service-errors.ts';

/** What a client is made of. */
export interface ResourcePoolClientOptions {
  /** The api's base with its path, such as `http://127.0.0.1:8080/v1`. */
  readonly url: string;
  /** Headers of every request, with the credential. */
  readonly headers: Readonly<Record<string, string>>;
  /** Told of each request that was refused because this worker belongs elsewhere, or its key is not good. */
  readonly onUnwelcome?: (refusal: ServiceRefused) => void;
  /** Longest wait for one answer; default 30 s. */
  readonly requestTimeoutMilliseconds?: number;
  /** Told once when the service cannot be reached, and once when it can again. */
  readonly onReachable?: (reachable: boolean, trouble?: Error) => void;
  /** For tests; defaults are `mostItems` of messages/, 16 MiB, 20 ms, 60 ms after a request of many. */
  readonly gather?: Partial<GathererOptions>;
}

const mostBytes = 16 * 1024 * 1024;

/** Speaks to the ResourcePool service over HTTP. */
export class ResourcePoolClient {
  readonly #service: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #onUnwelcome: (refusal: ServiceRefused) => void;
  readonly #timeoutMilliseconds: number;
  readonly #starts: Gatherer<StartOperationItem, StartVerdict>;
  readonly #finishes: Gatherer<FinishOperationItem, FinishVerdict>;
  readonly #progressLimits: { readonly mostItems: number; readonly mostBytes: number };

  constructor({
    url,
    headers,
    onUnwelcome = () => {},
    requestTimeoutMilliseconds = 30_000,
    onReachable = () => {},
    gather,
  }: ResourcePoolClientOptions) {
    this.#service = `${url.replace(/\/+$/, '')}/resourcepool/service/`;
    this.#headers = { ...headers, 'content-type': 'application/json' };
    this.#onUnwelcome = onUnwelcome;
    this.#timeoutMilliseconds = requestTimeoutMilliseconds;
    const options: GathererOptions = {
      mostItems,
      mostBytes,
      gatherMilliseconds: 20,
      longestGatherMilliseconds: 60,
      mostRequests: 4,
      firstRestMilliseconds: 50,
      longestRestMilliseconds: 5_000,
      onReachable,
      ...gather,
    };
    this.#progressLimits = { mostItems: gather?.mostItems ?? mostProgressItems, mostBytes: options.mostBytes };
    this.#starts = new Gatherer((items) => this.#exchange<StartVerdict>('startOperation', items), options, {
      hadNoRoom: (verdict) => verdict.verdict === 'later' && verdict.inMilliseconds === 0,
    });
    this.#finishes = new Gatherer((items) => this.#exchange<FinishVerdict>('finishOperation', items), options);
  }

  /** Asks for an Operation to run, again and again until answered. @throws ServiceRefused, or the signal's reason. */
  startOperation(item: StartOperationItem, signal: AbortSignal): Promise<StartVerdict> {
    return this.#starts.ask(item, signal);
  }

  /** Reports an end, again and again until acknowledged. @throws ServiceRefused, or the signal's reason. */
  finishOperation(item: FinishOperationItem, signal: AbortSignal): Promise<FinishVerdict> {
    return this.#finishes.ask(item, signal);
  }

  /** Tells of this worker, once. @throws ServiceUnavailable | ServiceRefused */
  async reportWorker(report: WorkerReport): Promise<void> {
    await this.#request('reportWorker', JSON.stringify(report));
  }

  /**
   * Reports progress once, for all given at a time: the next beat carries what this one could not.
   * @throws ServiceUnavailable | ServiceRefused
   */
  async reportProgress(items: readonly ReportProgressItem[]): Promise<readonly ItemAnswer<ProgressVerdict>[]> {
    const answers: ItemAnswer<ProgressVerdict>[] = [];
    const most = this.#progressLimits;
    let batch: string[] = [];
    let bytes = 0;
    for (const item of items) {
      const text = JSON.stringify(item);
      const more = Buffer.byteLength(text) + 1;
      if (batch.length === most.mostItems || (batch.length > 0 && bytes + more > most.mostBytes)) {
        answers.push(...(await this.#exchange<ProgressVerdict>('reportProgress', batch)));
        batch = [];
        bytes = 0;
      }
      batch.push(text);
      bytes += more;
    }
    if (batch.length > 0) answers.push(...(await this.#exchange<ProgressVerdict>('reportProgress', batch)));
    return answers;
  }

  /** One request; when its content is refused, smaller ones, until the item at fault stands alone. */
  async #exchange<Verdict>(operation: string, items: readonly string[]): Promise<readonly ItemAnswer<Verdict>[]> {
    try {
      return (await this.#post<Verdict>(operation, items)).map((verdict) => ({ verdict }));
    } catch (error) {
      if (!(error instanceof ServiceRefused && error.isAboutContent)) throw error;
      if (items.length === 1) return [{ refused: error }];
      const half = Math.ceil(items.length / 2);
      return [
        ...(await this.#exchange<Verdict>(operation, items.slice(0, half))),
        ...(await this.#exchange<Verdict>(operation, items.slice(half))),
      ];
    }
  }

  async #post<Verdict>(operation: string, items: readonly string[]): Promise<readonly Verdict[]> {
    return verdictsOf(await this.#request(operation, `{"items":[${items.join(',')}]}`), items.length);
  }

  /** The text of a good answer. */
  async #request(operation: string, text: string): Promise<string> {
    let response: Response;
    let body: string;
    try {
      response = await fetch(this.#service + operation, {
        method: 'POST',
        headers: this.#headers,
        body: text,
        redirect: 'error',
        signal: AbortSignal.timeout(this.#timeoutMilliseconds),
      });
      body = await response.text();
    } catch (error) {
      throw new ServiceUnavailable(
        `The ResourcePool service at ${this.#service} cannot be reached: ${messageOf(error)}`,
        undefined,
        {
          cause: error,
        },
      );
    }
    if (!response.ok) {
      const error = errorOf(response, body);
      if (error instanceof ServiceRefused && error.isAboutSender) this.#onUnwelcome(error);
      throw error;
    }
    return body;
  }
}

function verdictsOf<Verdict>(body: string, count: number): readonly Verdict[] {
  let answer: { items?: unknown };
  try {
    answer = JSON.parse(body) as { items?: unknown };
  } catch (error) {
    // Cut off or a proxy's page with status 200: what was asked may have been done, and asking again is harmless.
    throw new ServiceUnavailable('The ResourcePool service gave an answer that is not JSON.', undefined, {
      cause: error,
    });
  }
  if (!Array.isArray(answer.items) || answer.items.length !== count) {
    throw new ServiceUnavailable(
      `The ResourcePool service gave an answer without one verdict for each of ${count} items.`,
    );
  }
  return answer.items as Verdict[];
}

/** `fetch failed` says nothing; its cause does. */
function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

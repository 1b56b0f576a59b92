/** The few requests the demo makes, as any customer's program would make them. */

/** Of what `GET /progress/agenda/{id}` answers, the part that is shown. Times are epoch milliseconds. */
export interface AgendaProgress {
  readonly agendaId: string;
  readonly processingState: 'WAITING' | 'EXECUTING' | 'COMPLETE';
  readonly processingStateMessage: string;
  readonly percentComplete: number;
  readonly startedTime?: number;
  readonly completedTime?: number;
  readonly diagnosticEvents?: readonly { readonly message: string; readonly payload?: unknown }[];
  readonly operationProgress: readonly OperationProgress[];
}

/** The progress of an Operation, as far as the demo reads it. Times are epoch milliseconds. */
export interface OperationProgress {
  readonly operation: string;
  readonly processingState: 'WAITING' | 'EXECUTING' | 'COMPLETE';
  readonly processingStateMessage: string;
  readonly percentComplete: number;
  readonly startedTime?: number;
  readonly endedTime?: number;
  readonly attemptCount: number;
  readonly launch: number;
  /** JSON text. */
  readonly resultPayload?: string;
  readonly diagnosticEvents?: readonly { readonly message: string; readonly payload?: unknown }[];
}

/** Sends a request to the api and returns the body of its answer. */
export type Request = <Answer>(method: 'GET' | 'POST', path: string, body?: unknown) => Promise<Answer>;

/** Requests with one key. @throws Error with the problem's text when the answer is none of 2xx */
export function client(url: string, key: string): Request {
  return async <Answer>(method: 'GET' | 'POST', path: string, body?: unknown) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`);
    return JSON.parse(text) as Answer;
  };
}

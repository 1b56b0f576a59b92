/**
 * Everything that can go wrong in the api, and how it looks outside: RFC 9457 `application/problem+json` with POP's own
 * members (`description`, `responseCode`) beside the standard ones. Codes are stable; texts are for people.
 */
import { quoted } from '../../agenda/cut.ts';
import { FaultList, mostFaults } from '../../agenda/fault-list.ts';
import type { Fault } from '../../agenda/types.ts';
import { isDatabaseAway } from '../../db/connect.ts';

/** The closed set: code → status and title. */
const problems = {
  malformedRequest: { status: 400, title: 'Malformed request' },
  malformedJson: { status: 400, title: 'Malformed JSON' },
  unknownParameter: { status: 400, title: 'Unknown parameter' },
  badParameter: { status: 400, title: 'Parameter not acceptable' },
  unauthenticated: { status: 401, title: 'Credential missing or not valid' },
  forbidden: { status: 403, title: 'Not allowed' },
  wrongPool: { status: 403, title: 'The key is of another ResourcePool' },
  notFound: { status: 404, title: 'Not found' },
  noInsight: { status: 404, title: 'No available Insight' },
  methodNotAllowed: { status: 405, title: 'Method not allowed' },
  alreadyExists: { status: 409, title: 'Exists already' },
  inUse: { status: 409, title: 'Still in use' },
  conflict: { status: 409, title: 'Not possible in the present state' },
  wrongInstallation: { status: 409, title: 'The pool worker belongs to another installation' },
  notWaiting: { status: 409, title: 'Does not wait any more' },
  idempotencyKeyRunning: { status: 409, title: 'The first request with this Idempotency-Key is still running' },
  preconditionFailed: { status: 412, title: 'Changed meanwhile' },
  payloadTooLarge: { status: 413, title: 'Too large' },
  unsupportedMediaType: { status: 415, title: 'Unsupported media type' },
  invalid: { status: 422, title: 'Not acceptable content' },
  idempotencyKeyReused: { status: 422, title: 'Idempotency-Key was used for another request' },
  preconditionRequired: { status: 428, title: 'If-Match required' },
  tooManyRequests: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Internal error' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
} as const;

/** A code of the closed set. */
export type ProblemCode = keyof typeof problems;

interface ProblemDetails {
  /** A list that was made whole must be a short one. */
  readonly errors?: readonly Fault[] | FaultList;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error that the caller of the api is told about, word for word. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  /** The first ones. */
  readonly errors: readonly Fault[];
  /** How many there are in all. */
  readonly totalErrors: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, details: ProblemDetails = {}) {
    super(detail, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ProblemError';
    this.code = code;
    const errors = details.errors ?? [];
    this.errors = errors instanceof FaultList ? errors.first : errors.slice(0, mostFaults);
    this.totalErrors = errors instanceof FaultList ? errors.total : errors.length;
    this.headers = details.headers ?? {};
  }

  get status(): number {
    return problems[this.code].status;
  }
}

/** 400: what was sent cannot be read. */
export const malformed = (detail: string): ProblemError => new ProblemError('malformedRequest', detail);
/** 400: the parameter or header `name` is not acceptable. */
export const badParameter = (name: string, message: string): ProblemError =>
  new ProblemError('badParameter', message, { errors: [{ pointer: '', code: name, message }] });
/** 401: the credential is missing or not valid. */
export const unauthenticated = (detail: string): ProblemError =>
  new ProblemError('unauthenticated', detail, { headers: { 'WWW-Authenticate': 'Bearer realm="pop"' } });
/** 403: visible to the caller, and not allowed. */
export const forbidden = (detail: string, errors: readonly Fault[] | FaultList = []): ProblemError =>
  new ProblemError('forbidden', detail, { errors });
/** 404: absent or not visible, which look the same. */
export const notFound = (kind: string, id: string): ProblemError =>
  new ProblemError('notFound', `There is no ${kind} ${quoted(id)}.`);
/** 409: the id is taken. */
export const alreadyExists = (kind: string, id: string): ProblemError =>
  new ProblemError('alreadyExists', `A ${kind} with the id ${quoted(id)} exists already.`);
/** 409: something still needs it. */
export const inUse = (detail: string): ProblemError => new ProblemError('inUse', detail);
/** 409: not possible in its present state. */
export const conflict = (detail: string): ProblemError => new ProblemError('conflict', detail);
/** 413: larger than a limit, which `detail` names. */
export const payloadTooLarge = (detail: string): ProblemError => new ProblemError('payloadTooLarge', detail);
/** 503: try again in a moment. */
export const unavailable = (detail: string, cause?: unknown): ProblemError =>
  new ProblemError('unavailable', detail, { headers: { 'Retry-After': '5' }, cause });

/** 422 with the first faults and how many there are; `faults` must not be empty. */
export function invalid(faults: readonly Fault[] | FaultList): ProblemError {
  return new ProblemError('invalid', detailOf(faults), { errors: faults });
}

function detailOf(faults: readonly Fault[] | FaultList): string {
  const [first, total] =
    faults instanceof FaultList ? [faults.first, faults.total] : [faults.slice(0, mostFaults), faults.length];
  if (total === 1 && first[0]) return first[0].message;
  const sentences = first.map(({ message }) => (message.endsWith('.') ? message : `${message}.`));
  const detail = `Issues detected: ${sentences.join(' ')}`;
  return total > first.length ? `${detail} [Truncating additional issues]` : detail;
}

/** 422 with one fault at one place of the body, such as `invalidField('/queueSize', 'tooSmall', '…')`. */
export const invalidField = (pointer: string, code: string, message: string): ProblemError =>
  invalid([{ pointer, code, message }]);

/** Turns whatever was thrown into what the caller is told. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (isDatabaseAway(error)) return unavailable('The database cannot be reached at the moment; try again.', error);
  return new ProblemError('internal', 'Something went wrong here. It was logged under the correlation id.', {
    cause: error,
  });
}

/** The body of the answer. `instance` is the path of the request. */
export function problemBody(problem: ProblemError, correlationId: string, instance: string): Record<string, unknown> {
  const { status, title } = problems[problem.code];
  const errors = toldFaults(problem.errors, problem.totalErrors);
  return {
    type: `urn:pop:problem:${problem.code}`,
    title,
    status,
    detail: problem.message,
    instance,
    code: problem.code,
    correlationId,
    description: problem.message,
    responseCode: status,
    ...(errors.length > 0 ? { errors } : {}),
  };
}

/** The first faults as an answer lists them; then, where there are more, how many. */
export function toldFaults(first: readonly Fault[], total: number): Fault[] {
  if (total <= first.length) return [...first];
  const message = `[Truncating additional issues] ${total} in total`;
  return [...first, { pointer: '', code: 'truncated', message }];
}

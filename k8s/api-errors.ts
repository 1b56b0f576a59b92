/** What an API server's refusals mean for a launch. */
import type { Response } from 'undici';
import { cut } from '../agenda/cut.ts';
import { LaunchError } from '../launchers/launcher.ts';

const mostCharacters = 2_000;
const passing = new Set([408, 425, 429, 500, 502, 503, 504]);

/** The server refused a request, or was not reached. */
export class ApiError extends Error {
  /** Of HTTP; 0: there was no answer. */
  readonly status: number;
  /** The server's word, such as `AlreadyExists`. */
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: number,
    message: string,
    rest: { readonly reason?: string; readonly retryAfterSeconds?: number; readonly cause?: unknown } = {},
  ) {
    super(cut(message.toWellFormed(), mostCharacters), rest.cause === undefined ? {} : { cause: rest.cause });
    this.name = 'ApiError';
    this.status = status;
    this.reason = rest.reason ?? '';
    this.retryAfterSeconds = rest.retryAfterSeconds;
  }

  /** The same request may be taken a moment later. */
  get isPassing(): boolean {
    return this.status === 0 || passing.has(this.status);
  }

  /** The error that an answer tells. */
  static async of(response: Response): Promise<ApiError> {
    const text = await response.text();
    const told = statusOf(text);
    const retryAfter = Number(response.headers.get('retry-after') ?? told?.details?.retryAfterSeconds ?? Number.NaN);
    return new ApiError(response.status, told?.message ?? (text.trim() || response.statusText), {
      ...(told?.reason !== undefined && { reason: told.reason }),
      ...(Number.isFinite(retryAfter) && { retryAfterSeconds: retryAfter }),
    });
  }
}

interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

function statusOf(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Status | null;
    return value?.message === undefined ? undefined : value;
  } catch {
    return undefined;
  }
}

/** What was thrown as an ApiError: whatever is none means that there was no answer. */
export function apiErrorOf(error: unknown, server: string): ApiError {
  if (error instanceof ApiError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ApiError(0, `The API server at ${server} does not answer: ${why}`, { cause: error });
}

/** Whether it is not there. */
export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

/** Whether its name is taken. */
export const isTaken = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409 && error.reason === 'AlreadyExists';

/** Refusals of a Pod that an operator or time can lift while it waits. */
const mendable = [
  'exceeded quota',
  'is being terminated',
  'cannot create resource',
  'error looking up service account',
  'no API token found for service account',
];

/**
 * What the refusal of a new Pod means: a LaunchError when this Pod will never be taken, else the error itself, and the
 * start is tried again.
 */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  const { status, message } = error;
  const isFinal =
    status === 400 || status === 422 || (status === 403 && !mendable.some((words) => message.includes(words)));
  return isFinal ? new LaunchError('podRefused', `The cluster refuses the Pod: ${message}`, { cause: error }) : error;
}

/**
 * Reads the progress file of a handler: an OperationProgress, or our shorter form. Nothing in it can break the worker.
 */
import { lstatSync } from 'node:fs';
import type { DiagnosticEvent, Json, JsonObject } from '../../agenda/types.ts';
import {
  mostCodeCharacters,
  mostDiagnosticEvents,
  mostEventCharacters,
  mostMessageCharacters,
} from '../../messages/limits.ts';
import type { HandlerProgress } from '../launcher.ts';
import { cleanText } from './log-file.ts';
import { NotReadableError, readRegular } from './run-files.ts';

/** Largest progress file that is read. */
export const maximumProgressBytes = 1024 * 1024;

/** One reading of the progress file. */
export interface Report {
  readonly progress: HandlerProgress;
  /** Present once it reported COMPLETE. */
  readonly outcome?: 'succeeded' | 'failed';
  /** POP's place of the result: JSON text. */
  readonly resultPayload?: string;
}

/** Follows one progress file. */
export class ProgressFile {
  readonly #path: string;
  #seen = '';
  /** The last readable report. */
  report: Report | undefined;
  /** The reason why the file cannot be read as it is now; undefined when it can. */
  fault: DiagnosticEvent | undefined;
  /** Epoch milliseconds of the last change; 0 before the first. */
  changedTime = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads the file if it changed, and returns what is new. */
  look(): HandlerProgress | undefined {
    const stat = lstatSync(this.#path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const seen = `${stat.mtimeNs}:${stat.size}:${stat.ino}`;
    if (seen === this.#seen) return undefined;
    this.#seen = seen;
    this.changedTime = Number(stat.mtimeMs);
    if (stat.size > maximumProgressBytes) {
      return this.#refuse(
        'progressTooLarge',
        `The progress report has ${stat.size} bytes; the limit is ${maximumProgressBytes}.`,
      );
    }
    let text: string | undefined;
    try {
      text = readRegular(this.#path, maximumProgressBytes);
    } catch (error) {
      if (!(error instanceof NotReadableError)) throw error;
      return this.#refuse('progressNotReadable', `The progress report cannot be read: ${error.message}.`);
    }
    if (text === undefined) return undefined;
    try {
      const value = JSON.parse(text) as Json;
      if (!isObject(value)) return this.#refuse('progressNotJson', 'The progress report is not a JSON object.');
      this.report = readReport(value);
    } catch (error) {
      return this.#refuse(
        'progressNotJson',
        `The progress report is not JSON: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    this.fault = undefined;
    return this.report.progress;
  }

  #refuse(code: string, message: string): HandlerProgress {
    this.fault = { code, message: cleanText(message).slice(0, mostEventCharacters), time: Date.now() };
    return {
      ...this.report?.progress,
      diagnosticEvents: [...(this.report?.progress.diagnosticEvents ?? []), this.fault],
    };
  }
}

function readReport(value: JsonObject): Report {
  const message = textOf(value.message ?? value.processingStateMessage, mostMessageCharacters);
  const percent = value.percentComplete;
  const events = Array.isArray(value.diagnosticEvents)
    ? value.diagnosticEvents.slice(0, mostDiagnosticEvents).flatMap(readEvent)
    : undefined;
  const resultPayload = value.resultPayload;
  const isComplete = value.processingState === 'COMPLETE';
  return {
    progress: {
      ...(message !== undefined && { message }),
      ...(typeof percent === 'number' &&
        Number.isFinite(percent) && { percentComplete: Math.min(100, Math.max(0, percent)) }),
      ...(events !== undefined && { diagnosticEvents: events }),
      ...(isObject(value.params) && { params: cleanJson(value.params) as JsonObject }),
    },
    ...(isComplete && { outcome: value.processingStateMessage === 'succeeded' ? 'succeeded' : 'failed' }),
    ...(typeof resultPayload === 'string' && { resultPayload }),
  };
}

function readEvent(value: Json): DiagnosticEvent[] {
  if (typeof value === 'string') return [{ message: cleanText(value).slice(0, mostEventCharacters) }];
  if (!isObject(value)) return [];
  const { statusCode, time, payload } = value;
  const code = textOf(value.code, mostCodeCharacters);
  const stackTrace = textOf(value.stackTrace, mostEventCharacters);
  return [
    {
      message: textOf(value.message, mostEventCharacters) ?? 'No message was given.',
      ...(typeof statusCode === 'number' && { statusCode }),
      ...(code !== undefined && { code }),
      ...(typeof time === 'number' && Number.isInteger(time) && time >= 0 && { time }),
      ...(stackTrace !== undefined && { stackTrace }),
      ...(payload !== undefined && { payload: cleanJson(payload) }),
    },
  ];
}

function textOf(value: Json | undefined, most: number): string | undefined {
  return typeof value === 'string' ? cleanText(value).slice(0, most).toWellFormed() : undefined;
}

/** The value with every text in it made fit for any database. */
export function cleanJson(value: Json): Json {
  return JSON.parse(JSON.stringify(value), (_key, each: unknown) =>
    typeof each === 'string' ? cleanText(each) : each,
  ) as Json;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads what a handler reports of itself: an OperationProgress, or our shorter form. Nothing in it can break the
 * worker.
 */
import type { DiagnosticEvent, Json, JsonObject } from '../agenda/types.ts';
import {
  mostCodeCharacters,
  mostDiagnosticEvents,
  mostEventCharacters,
  mostMessageCharacters,
} from '../messages/limits.ts';
import { cleanJson, cleanText } from './clean-text.ts';
import type { HandlerProgress } from './launcher.ts';

/** Largest report that is read. */
export const maximumProgressBytes = 1024 * 1024;

/** One report. */
export interface Report {
  readonly progress: HandlerProgress;
  /** Present once it reported COMPLETE. */
  readonly outcome?: 'succeeded' | 'failed';
  /** POP's place of the result: JSON text. */
  readonly resultPayload?: string;
}

/** The report of a JSON text, or why it cannot be read. */
export function parseReport(text: string): Report | DiagnosticEvent {
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value)
      ? readReport(value)
      : progressFault('progressNotJson', 'The progress report is not a JSON object.');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return progressFault('progressNotJson', `The progress report is not JSON: ${why}`);
  }
}

/** Why a report cannot be read. */
export function progressFault(code: string, message: string): DiagnosticEvent {
  return { code, message: cleanText(message).slice(0, mostEventCharacters), time: Date.now() };
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

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

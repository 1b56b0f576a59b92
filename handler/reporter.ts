/**
 * Tells the world how far the handler is: an OperationProgress in a file that is always whole. Without a file, lines of
 * output.
 */
import { renameSync, writeFileSync } from 'node:fs';
import type { DiagnosticEvent, Json, JsonObject } from './types.ts';

/** The progress that a handler reports while it works. A field that is left out stays as it was reported before. */
export interface ProgressReport {
  readonly message?: string;
  /** 0..100; a lower one than before is ignored. */
  readonly percentComplete?: number;
  /** Added to those reported before. */
  readonly diagnosticEvents?: readonly DiagnosticEvent[];
  /** Whatever the next attempt needs to go on from here; replaces what was given before. */
  readonly params?: JsonObject;
}

/** Shortest time between two writes. Nobody reads faster, and a handler may report for every frame. */
const shortestMilliseconds = 250;

/** Writes the progress of one handler to the file at `path`, at most four times a second. */
export class Reporter {
  readonly #path: string | undefined;
  #message: string | undefined;
  #percent = 0;
  #events: DiagnosticEvent[] = [];
  #params: JsonObject | undefined;
  #writtenTime = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  report(report: ProgressReport): void {
    this.#take(report);
    if (this.#timer !== undefined) return;
    const wait = this.#writtenTime + shortestMilliseconds - Date.now();
    if (wait <= 0) this.#write('EXECUTING', this.#message);
    // The last of many reports is not lost: it is written when its time comes, or with the end.
    else this.#timer = setTimeout(() => this.#write('EXECUTING', this.#message), wait);
  }

  succeed(): void {
    this.#percent = 100;
    this.#write('COMPLETE', 'succeeded');
  }

  fail(event: DiagnosticEvent): void {
    this.#events.push(event);
    this.#write('COMPLETE', 'failed');
  }

  #take(report: ProgressReport): void {
    if (report.message !== undefined) this.#message = report.message;
    const percent = report.percentComplete;
    if (percent !== undefined && Number.isFinite(percent))
      this.#percent = Math.max(this.#percent, Math.min(100, percent));
    if (report.diagnosticEvents !== undefined) this.#events.push(...report.diagnosticEvents);
    if (report.params !== undefined) this.#params = report.params;
  }

  #write(processingState: 'EXECUTING' | 'COMPLETE', processingStateMessage: string | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writtenTime = Date.now();
    if (this.#path === undefined) {
      console.log(`${processingState} ${this.#percent}% ${processingStateMessage ?? ''}`);
      return;
    }
    const progress = {
      processingState,
      processingStateMessage,
      percentComplete: this.#percent,
      diagnosticEvents: this.#events,
      params: this.#params,
    };
    writeWhole(this.#path, JSON.stringify(progress));
  }
}

/** Hands over the result: in its file, or as the last line of JSON in the output. */
export function writeResult(path: string | undefined, result: Json): void {
  if (path === undefined) console.log(JSON.stringify(result));
  else writeWhole(path, JSON.stringify(result));
}

/**
 * Readers see the old content or the new, never a part. The shim makes both files durable before it records the end.
 */
function writeWhole(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content, { mode: 0o600 });
  renameSync(temporary, path);
}

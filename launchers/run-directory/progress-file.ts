/** Follows the progress file of a handler. */
import { lstatSync } from 'node:fs';
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { HandlerProgress } from '../launcher.ts';
import { maximumProgressBytes, parseReport, progressFault, type Report } from '../progress-report.ts';
import { NotReadableError, readRegular } from './regular-file.ts';

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
    const read = parseReport(text);
    if ('progress' in read) this.report = read;
    else return this.#refused(read);
    this.fault = undefined;
    return read.progress;
  }

  #refuse(code: string, message: string): HandlerProgress {
    return this.#refused(progressFault(code, message));
  }

  #refused(fault: DiagnosticEvent): HandlerProgress {
    this.fault = fault;
    return {
      ...this.report?.progress,
      diagnosticEvents: [...(this.report?.progress.diagnosticEvents ?? []), this.fault],
    };
  }
}

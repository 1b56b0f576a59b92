/** Progress as lines of output, for handlers that are tried out by hand or run where nobody asks. */
import type { HandlerEnd, Progress } from '../progress.ts';
import { goOn, type Outlet, ResultTooLarge, type Wish } from './outlet.ts';
import { type ResultFile, writeResultFile } from './result-file.ts';

/** Prints progress; the result too, where it has no file. */
export class LogOutlet implements Outlet {
  readonly leastMilliseconds: number = 250;
  readonly #resultFile: ResultFile;

  constructor(resultFile: ResultFile) {
    this.#resultFile = resultFile;
  }

  async progress({ percentComplete, message }: Progress): Promise<Wish> {
    console.log(`EXECUTING ${percentComplete}% ${message ?? ''}`);
    return goOn;
  }

  async end({ percentComplete }: Progress, { outcome, result }: HandlerEnd): Promise<void> {
    if (result !== undefined && !writeResultFile(this.#resultFile, result)) {
      const text = JSON.stringify(result);
      const { mostBytes } = this.#resultFile;
      if (mostBytes !== undefined) throw new ResultTooLarge(Buffer.byteLength(text), mostBytes);
      console.log(text);
    }
    console.log(`COMPLETE ${outcome === 'succeeded' ? 100 : percentComplete}% ${outcome}`);
  }
}

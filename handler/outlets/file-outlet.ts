/** Progress in a file that is always whole: what the Local and Docker launchers read. */
import { type HandlerEnd, operationProgressOf, type Progress } from '../progress.ts';
import { goOn, type Outlet, ResultTooLarge, type Wish } from './outlet.ts';
import { type ResultFile, writeResultFile, writeWhole } from './result-file.ts';

/** Writes to `POP_PROGRESS_FILE`. A result that its file does not take goes to `larger`, where there is one. */
export class FileOutlet implements Outlet {
  /** Nobody reads faster, and a handler may report for every frame. */
  readonly leastMilliseconds: number = 250;
  readonly #path: string;
  readonly #resultFile: ResultFile;
  readonly #larger: Outlet | undefined;

  constructor(path: string, resultFile: ResultFile, larger?: Outlet) {
    this.#path = path;
    this.#resultFile = resultFile;
    this.#larger = larger;
  }

  async progress(progress: Progress): Promise<Wish> {
    writeWhole(this.#path, JSON.stringify(operationProgressOf(progress)));
    return goOn;
  }

  async end(progress: Progress, end: HandlerEnd): Promise<void> {
    const { result } = end;
    if (result !== undefined && !writeResultFile(this.#resultFile, result)) {
      if (this.#larger !== undefined) await this.#larger.end(progress, end);
      else if (this.#resultFile.mostBytes === undefined) console.log(JSON.stringify(result));
      else throw new ResultTooLarge(Buffer.byteLength(JSON.stringify(result)), this.#resultFile.mostBytes);
    }
    writeWhole(this.#path, JSON.stringify(operationProgressOf(progress, end)));
  }
}

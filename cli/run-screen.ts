/**
 * What is seen while Operations run, on stderr. On a terminal the last lines are those that execute, each with what it
 * does now, and are drawn again; elsewhere there is a line for each thing that happened.
 */
import { stripVTControlCharacters } from 'node:util';

/** An Operation as far as it is shown. */
export interface ShownOperation {
  readonly operation: string;
  readonly processingState: 'WAITING' | 'EXECUTING' | 'COMPLETE';
  readonly processingStateMessage: string;
  readonly percentComplete: number;
  readonly outcome: string | null;
  readonly diagnosticEvents: readonly { readonly message: string }[] | null;
}

/** The part of a stream that is written to. */
export type ScreenStream = Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean; readonly columns?: number };

/** Between two drawings, so that a handler that reports a lot does not slow the terminal down. */
const redrawMilliseconds = 100;

/** Shows Operations; disposed of, it leaves nothing that would be drawn over. */
export class RunScreen implements Disposable {
  readonly #stream: ScreenStream;
  readonly #isLive: boolean;
  readonly #begun = new Map<string, number>();
  readonly #executing = new Map<string, ShownOperation>();
  readonly #last = new Map<string, string>();
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: ScreenStream = process.stderr) {
    this.#stream = stream;
    this.#isLive = stream.isTTY === true;
  }

  /** Something of it has changed. */
  changed(operation: ShownOperation): void {
    const { operation: name, processingState, processingStateMessage, percentComplete } = operation;
    const seen = `${processingState} ${processingStateMessage}`;
    const isNews = this.#last.get(name) !== seen;
    this.#last.set(name, seen);
    if (processingState === 'COMPLETE') {
      this.#executing.delete(name);
      if (isNews) this.line(this.#endOf(operation));
      return;
    }
    const isFirst = !this.#begun.has(name);
    if (isFirst) this.#begun.set(name, performance.now());
    if (this.#isLive) {
      this.#executing.set(name, { ...operation });
      this.#timer ??= setTimeout(() => this.#draw(), redrawMilliseconds);
    } else if (isNews) this.line(`${name}: ${percentText(percentComplete)}${oneLine(processingStateMessage)}`);
  }

  /** A line that stays. */
  line(text: string): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
    if (this.#isLive) this.#draw();
  }

  [Symbol.dispose](): void {
    this.#executing.clear();
    this.#erase();
  }

  #endOf({ operation, outcome, diagnosticEvents }: ShownOperation): string {
    const begun = this.#begun.get(operation);
    const seconds = begun === undefined ? '' : ` after ${((performance.now() - begun) / 1000).toFixed(1)} s`;
    const why = outcome === 'succeeded' ? undefined : (diagnosticEvents ?? [])[0]?.message;
    return `${operation}: ${outcome}${seconds}${why === undefined ? '' : `: ${oneLine(why)}`}`;
  }

  #draw(): void {
    this.#erase();
    const columns = this.#stream.columns ?? 80;
    const lines = [...this.#executing.values()].map(({ operation, percentComplete, processingStateMessage }) =>
      `… ${operation}: ${percentText(percentComplete)}${oneLine(processingStateMessage)}`.slice(0, columns - 1),
    );
    for (const line of lines) this.#stream.write(`${line}\n`);
    this.#drawn = lines.length;
  }

  #erase(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#drawn > 0) this.#stream.write(`\u001B[${this.#drawn}A\u001B[0J`);
    this.#drawn = 0;
  }
}

const percentText = (percent: number): string => (percent > 0 ? `${Math.floor(percent)} % ` : '');

/** What a handler says must not move the cursor. */
const oneLine = (text: string): string =>
  stripVTControlCharacters(text)
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim();

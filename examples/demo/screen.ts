/** Shows progress while it changes: redrawn in place on a terminal, elsewhere one plain line per change. */
import type { WriteStream } from 'node:tty';
import { type Drawn, draw } from './picture.ts';

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';
const eraseBelow = '\x1b[J';

/** A terminal that shows progress until it is disposed. */
export class Screen implements Disposable {
  readonly #output: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;
  readonly #colours: boolean;
  #drawn: readonly string[] = [];
  /** Last plain line by what it is about. */
  #said = new Map<string, string>();

  constructor(output: NodeJS.WritableStream, environment: NodeJS.ProcessEnv = process.env) {
    this.#output = output;
    // no-color.org: any value but the empty one.
    this.#colours = this.isTerminal && (environment.NO_COLOR ?? '') === '';
  }

  get isTerminal(): boolean {
    return this.#output.isTTY === true;
  }

  /** One line that stays, above the picture if there is one. */
  say(line: string): void {
    if (this.#drawn.length === 0) this.#output.write(`${line}\n`);
    else this.#output.write(`${this.#back()}${[line, ...this.#drawn].map(overwriting).join('')}${eraseBelow}`);
  }

  show(agendas: readonly Drawn[]): void {
    if (this.isTerminal) this.#redraw(agendas);
    else this.#sayChanges(agendas);
  }

  /** The picture stays as it is; what comes next goes below. */
  leave(): void {
    if (this.#drawn.length > 0) this.#output.write(showCursor);
    this.#drawn = [];
  }

  [Symbol.dispose](): void {
    this.leave();
  }

  #redraw(agendas: readonly Drawn[]): void {
    const { columns = 80, rows = 24 } = this.#output;
    const lines = draw(agendas, { columns: columns - 1, rows: rows - 1, colours: this.#colours, now: Date.now() });
    // One write per picture, so that it does not flicker; what is left of a longer picture is erased.
    this.#output.write(`${this.#back()}${lines.map(overwriting).join('')}${eraseBelow}`);
    this.#drawn = lines;
  }

  #back(): string {
    return this.#drawn.length > 0 ? `\x1b[${this.#drawn.length}A` : hideCursor;
  }

  #sayChanges(agendas: readonly Drawn[]): void {
    for (const { customer, title, progress } of agendas) {
      const about = `${customer}, ${title}`;
      const isOver = progress.processingState === 'COMPLETE';
      if (!isOver) this.#sayOnce(about, `${about}: ${stateOf(progress)}`);
      for (const each of progress.operationProgress) {
        if (each.processingState === 'WAITING') continue;
        this.#sayOnce(`${about}/${each.operation}`, `${about}: ${each.operation} ${stateOf(each)}`);
      }
      if (isOver) this.#sayOnce(about, `${about}: ${stateOf(progress)}`);
    }
  }

  #sayOnce(about: string, line: string): void {
    if (this.#said.get(about) === line) return;
    this.#said.set(about, line);
    this.say(line);
  }
}

function overwriting(line: string): string {
  return `\x1b[2K${line}\n`;
}

function stateOf({
  processingState,
  processingStateMessage,
}: {
  processingState: string;
  processingStateMessage: string;
}): string {
  return processingState === 'COMPLETE' ? processingStateMessage : processingState.toLowerCase();
}

/** Shows progress while it changes: redrawn in place on a terminal, elsewhere one plain line per change. */
import type { WriteStream } from 'node:tty';
import { type Drawn, draw } from './picture.ts';

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';

export class Screen implements Disposable {
  readonly #output: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;
  readonly #colours: boolean;
  #drawnLines = 0;
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

  /** One line that stays. */
  say(line: string): void {
    this.#leaveDrawing();
    this.#output.write(`${line}\n`);
  }

  show(agendas: readonly Drawn[]): void {
    if (this.isTerminal) this.#redraw(agendas);
    else this.#sayChanges(agendas);
  }

  [Symbol.dispose](): void {
    this.#leaveDrawing();
  }

  #redraw(agendas: readonly Drawn[]): void {
    const { columns = 80, rows = 24 } = this.#output;
    const lines = draw(agendas, { columns: columns - 1, rows: rows - 1, colours: this.#colours, now: Date.now() });
    const back = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A` : hideCursor;
    // One write per picture, so that it does not flicker; what is left of a longer picture is erased.
    this.#output.write(`${back}${lines.map((line) => `\x1b[2K${line}\n`).join('')}\x1b[J`);
    this.#drawnLines = lines.length;
  }

  #leaveDrawing(): void {
    if (this.#drawnLines > 0) this.#output.write(showCursor);
    this.#drawnLines = 0;
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

function stateOf({ processingState, processingStateMessage }: { processingState: string; processingStateMessage: string }): string {
  return processingState === 'COMPLETE' ? processingStateMessage : processingState.toLowerCase();
}

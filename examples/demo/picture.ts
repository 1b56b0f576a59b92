/** Draws the progress of Agendas as lines of text: what runs in full, what waits or is over as one line each. */
import type { AgendaProgress, OperationProgress } from './client.ts';

/** One Agenda as it is drawn. */
export interface Drawn {
  readonly customer: string;
  readonly title: string;
  /** In the order in which they are shown. */
  readonly operations: readonly { readonly name: string; readonly type: string }[];
  readonly progress: AgendaProgress;
}

/** The means to draw with: the size of the terminal, whether it has colours, and the time. */
export interface Pen {
  readonly columns: number;
  /** Most lines; what is over or waits gives way first, then Operations. */
  readonly rows: number;
  readonly colours: boolean;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** ANSI "select graphic rendition" numbers. */
const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof styles;

/** The lines; none is wider than `columns`. */
export function draw(agendas: readonly Drawn[], pen: Pen): string[] {
  const lines = agendas.flatMap((agenda) => [agendaLine(agenda, pen), ...operationLines(agenda, pen)]);
  if (lines.length <= pen.rows) return lines;
  return agendas.map((agenda) => agendaLine(agenda, pen)).slice(0, Math.max(1, pen.rows));
}

function agendaLine({ customer, title, progress }: Drawn, pen: Pen): string {
  const { processingState: state, percentComplete } = progress;
  const outcome = state === 'COMPLETE' ? progress.processingStateMessage : state.toLowerCase();
  const style: Style =
    state === 'WAITING' ? 'dim' : outcome === 'failed' ? 'red' : state === 'COMPLETE' ? 'green' : 'bold';
  return lineOf(pen, [
    [`${customer.padEnd(14)} ${title.padEnd(16)} `, style],
    [`${outcome.padEnd(9)} `, style],
    ...bar(percentComplete, 20, state),
    [` ${percentComplete.toFixed(0).padStart(3)} %`, style],
    [elapsed(progress.startedTime, progress.completedTime, pen.now), 'dim'],
  ]);
}

function operationLines({ operations, progress }: Drawn, pen: Pen): string[] {
  if (progress.processingState !== 'EXECUTING') return [];
  const byName = new Map(progress.operationProgress.map((each) => [each.operation, each]));
  return operations.map(({ name, type }, index) => {
    const own = byName.get(name);
    const branch = index === operations.length - 1 ? '└─' : '├─';
    return lineOf(pen, [[`  ${branch} `, 'dim'], ...operationParts(name, type, own, pen.now)]);
  });
}

type Part = readonly [text: string, style?: Style];

function operationParts(name: string, type: string, own: OperationProgress | undefined, now: number): Part[] {
  const what = `${name.padEnd(18)} ${type.padEnd(10)} `;
  if (own === undefined || own.processingState === 'WAITING') return [[`· ${what}`, 'dim']];
  const time: Part = [elapsed(own.startedTime, own.endedTime, now), 'dim'];
  if (own.processingState === 'EXECUTING') {
    const percent = ` ${own.percentComplete.toFixed(0).padStart(3)} %`;
    return [['▸ ', 'yellow'], [what], ...bar(own.percentComplete, 20, 'EXECUTING'), [percent], time];
  }
  const isGood = own.processingStateMessage === 'succeeded';
  return [
    [isGood ? '✓ ' : '✗ ', isGood ? 'green' : 'red'],
    [what],
    [own.processingStateMessage.padEnd(26), isGood ? 'green' : 'red'],
    time,
  ];
}

function bar(percent: number, width: number, state: AgendaProgress['processingState']): Part[] {
  const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * width);
  return [
    ['█'.repeat(full), state === 'COMPLETE' ? 'green' : 'cyan'],
    ['░'.repeat(width - full), 'dim'],
  ];
}

function elapsed(started: number | undefined, ended: number | undefined, now: number): string {
  if (started === undefined) return '';
  return `${(Math.max(0, (ended ?? now) - started) / 1000).toFixed(1).padStart(7)} s`;
}

/** Joins the parts, cut at the width of the terminal: a line that wraps would spoil the redraw. */
function lineOf({ columns, colours }: Pen, parts: readonly Part[]): string {
  let left = columns;
  let line = '';
  for (const [text, style] of parts) {
    // Every character drawn here is one column wide; titles are cut by code point.
    const characters = [...text].slice(0, left);
    left -= characters.length;
    const shown = characters.join('');
    if (shown === '') continue;
    line += style !== undefined && colours ? `\x1b[${styles[style]}m${shown}\x1b[0m` : shown;
  }
  return line.trimEnd();
}

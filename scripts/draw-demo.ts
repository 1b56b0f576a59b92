/**
 * Draws docs/demo.svg, the picture in the README, from the recording of a real run:
 *   script -qec 'stty cols 92 rows 40 && npm run --silent demo' /tmp/demo.recording
 *   node scripts/draw-demo.ts /tmp/demo.recording > docs/demo.svg
 * Understands just what the demo writes: lines, colours, cursor up, erase. Plays the screens one after the other; the
 * last one stays longest and is what viewers without animation show.
 */
import { readFileSync } from 'node:fs';

const characterWidth = 8.4;
const lineHeight = 18;
const margin = 14;
const mostScreens = 24;
const screenSeconds = 0.7;
const lastSeconds = 8;
const colours: Readonly<Record<string, string>> = { 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341', 36: '#79c0ff' };

interface Piece {
  readonly text: string;
  /** SGR numbers, such as `32`. */
  readonly style: string;
}
type Line = readonly Piece[];

const path = process.argv[2];
if (path === undefined) throw new Error('Usage: draw-demo.ts <recording>');
process.stdout.write(svgOf(sampled(screensOf(readFileSync(path, 'utf8')))));

/** The screen after each redraw, and at the end. */
function screensOf(recording: string): Line[][] {
  const screens: Line[][] = [];
  const lines: Piece[][] = [[{ text: '$ npm run demo', style: '2' }], []];
  let row = 1;
  let style = '';
  // `script` frames a recording with lines of its own.
  const text = recording.replace(/^Script started.*\n/, '').replace(/\n*Script done.*\n?$/, '\n');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal control sequences begin with one
  for (const [, control, final = '', newline, plain] of text.matchAll(/\x1b\[([?\d;]*)([A-Za-z])|(\n)|([^\x1b\n]+)/g)) {
    if (newline !== undefined) {
      row += 1;
      lines[row] ??= [];
    } else if (plain !== undefined) {
      const shown = plain.replaceAll('\r', '');
      if (shown !== '') lines[row]?.push({ text: shown, style });
    } else if (final === 'm') style = control === '0' ? '' : (control ?? '');
    else if (final === 'A') {
      row = Math.max(0, row - Number(control || 1));
    } else if (final === 'K') lines[row] = [];
    else if (final === 'J') {
      lines.splice(row, Number.POSITIVE_INFINITY, []);
      screens.push(lines.map((line) => [...line]));
    }
  }
  return [...screens, lines.map((line) => [...line])];
}

/** At most so many, the last one among them. */
function sampled(screens: readonly Line[][]): Line[][] {
  const step = Math.max(1, Math.ceil(screens.length / mostScreens));
  return screens.filter((_, index) => (screens.length - 1 - index) % step === 0);
}

function svgOf(screens: readonly Line[][]): string {
  const rows = Math.max(...screens.map((lines) => lines.findLastIndex((line) => line.length > 0) + 1));
  const columns = Math.max(...screens.flat().map(lengthOf), 60);
  const width = Math.ceil(columns * characterWidth + 2 * margin);
  const height = rows * lineHeight + 2 * margin;
  const seconds = (screens.length - 1) * screenSeconds + lastSeconds;
  const rules = new Map<string, string>();
  const texts: string[] = [];
  for (let row = 0; row < rows; row += 1) {
    for (const { line, from, to } of spansOf(screens.map((lines) => lines[row] ?? []))) {
      if (line.length === 0) continue;
      const isAlways = from === 0 && to === screens.length;
      const name = isAlways ? '' : `s${from}-${to}`;
      if (!isAlways) rules.set(name, ruleOf(name, from, to, screens.length, seconds));
      texts.push(textOf(line, row, name, to === screens.length));
    }
  }
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="npm run demo in a terminal">
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #e6edf3; }
${Object.entries(colours)
  .map(([number, colour]) => `.c${number} { fill: ${colour}; }`)
  .join(' ')} .c1 { font-weight: bold; } .c2 { fill: #8b949e; }
@media (prefers-reduced-motion: no-preference) {
${[...rules.values()].join('\n')}
}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
${texts.join('\n')}
</svg>
`;
}

/** Runs of screens on which a row looks the same. */
function spansOf(looks: readonly Line[]): { line: Line; from: number; to: number }[] {
  const spans: { line: Line; from: number; to: number }[] = [];
  for (const [index, line] of looks.entries()) {
    const last = spans.at(-1);
    if (last !== undefined && JSON.stringify(last.line) === JSON.stringify(line)) last.to = index + 1;
    else spans.push({ line, from: index, to: index + 1 });
  }
  return spans;
}

function ruleOf(name: string, from: number, to: number, screens: number, seconds: number): string {
  const percent = (index: number) => ((index === screens ? seconds : index * screenSeconds) / seconds) * 100;
  const at = (index: number, visibility: string) => `${percent(index).toFixed(3)}% { visibility: ${visibility}; }`;
  const steps = [
    from > 0 ? '0% { visibility: hidden; }' : '',
    at(from, 'visible'),
    to < screens ? at(to, 'hidden') : '',
  ].join(' ');
  const last = `100% { visibility: ${to < screens ? 'hidden' : 'visible'}; }`;
  return `@keyframes ${name} { ${steps} ${last} } .${name} { animation: ${name} ${seconds}s step-end infinite; }`;
}

/** `stays`: it is on the last screen, so it is shown without animation too. */
function textOf(line: Line, row: number, name: string, stays: boolean): string {
  let column = 0;
  const pieces = line.map(({ text, style }) => {
    // Every piece is placed by itself, so that a viewer's other font cannot shift the columns; blanks at its ends are
    // left out.
    const start = column + text.length - text.trimStart().length;
    column += [...text].length;
    const shown = text.trim();
    if (shown === '') return '';
    const x = (margin + start * characterWidth).toFixed(1);
    const length = ([...shown].length * characterWidth).toFixed(1);
    const colour = style === '' ? '' : ` class="c${style}"`;
    return `<tspan x="${x}" textLength="${length}"${colour}>${escaped(shown)}</tspan>`;
  });
  const attributes = `${name === '' ? '' : ` class="${name}"`}${stays ? '' : ' visibility="hidden"'}`;
  return `<text y="${margin + (row + 0.75) * lineHeight}"${attributes}>${pieces.join('')}</text>`;
}

function lengthOf(line: Line): number {
  return line.reduce((sum, { text }) => sum + [...text].length, 0);
}

/** Blanks as such that no viewer folds. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(' ', '\u00a0');
}

/** Tables in Markdown, as the Temporal Web UI shows them. */

/** Longest text of a cell, in characters. */
const mostCharacters = 100;

/** What a cell shows; undefined is empty. */
export type Cell = string | number | undefined;

/** The two lines that a table begins with. */
export const tableHead = (...titles: readonly string[]): string[] => [
  `| ${titles.join(' | ')} |`,
  `|${'---|'.repeat(titles.length)}`,
];

/**
 * One line: numbers with three digits behind the point, texts cut and with nothing in them that would end their cell.
 */
export const tableRow = (...cells: readonly Cell[]): string => `| ${cells.map(shown).join(' | ')} |`;

/** At most three digits behind the point. */
export const brief = (value: number): number => Math.round(value * 1000) / 1000;

function shown(cell: Cell): string {
  if (cell === undefined) return '';
  return typeof cell === 'number' ? String(brief(cell)) : escaped(cell);
}

/** Cut before it is escaped: else a cut could leave a lone backslash, which would take the end of the cell with it. */
function escaped(text: string): string {
  const cut = text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters - 1)}…`;
  return cut.toWellFormed().replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll(/\s/g, ' ');
}

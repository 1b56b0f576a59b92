import type { Admission, SimulationReport, Workload } from './workload.ts';

const colours = ['#2563eb', '#d97706', '#059669', '#b91c1c', '#7c3aed', '#0e7490'];
const width = 840;
const height = 360;
const left = 56;
const top = 36;
const innerWidth = width - left - 150;
const innerHeight = height - top - 52;

/**
 * The parts of the slots in use that customers hold over time, averaged over `windowSeconds`, as an SVG image. `notes`
 * are drawn at their times.
 */
export function plotShares(
  report: SimulationReport,
  windowSeconds: number,
  title: string,
  notes: readonly { time: number; text: string }[] = [],
): string {
  const customers = Object.keys(report.customers);
  const count = Math.max(1, Math.floor(report.seconds / windowSeconds));
  const held = customers.map(() => new Float64Array(count));
  for (const admission of report.admissions)
    spread(admission, held[customers.indexOf(admission.customerId)] as Float64Array, windowSeconds);
  const x = (time: number): string => (left + (innerWidth * time) / report.seconds).toFixed(1);
  const y = (part: number): string => (top + innerHeight * (1 - part)).toFixed(1);
  const lines = held.map((own, index) => {
    const points = Array.from(own, (slotSeconds, window) => {
      const all = held.reduce((sum, one) => sum + (one[window] as number), 0);
      return `${x((window + 0.5) * windowSeconds)},${y(all === 0 ? 0 : slotSeconds / all)}`;
    });
    const colour = colours[index % colours.length] as string;
    const label = escapeXml(customers[index] as string);
    return (
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.join(' ')}"/>\n` +
      `<rect x="${width - 138}" y="${top + index * 22}" width="14" height="4" fill="${colour}"/>` +
      `<text x="${width - 118}" y="${top + 6 + index * 22}">${label}</text>`
    );
  });
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<line x1="${left}" x2="${left + innerWidth}" y1="${y(part)}" y2="${y(part)}" stroke="#d4d4d8"/>` +
      `<text x="${left - 8}" y="${y(part)}" dy="4" text-anchor="end">${part * 100} %</text>`,
  );
  const marks = notes.map(
    ({ time, text }, index) =>
      `<line x1="${x(time)}" x2="${x(time)}" y1="${top}" y2="${top + innerHeight}" ` +
      'stroke="#71717a" stroke-dasharray="4 3"/>' +
      `<text x="${x(time)}" dx="4" y="${top + 12 + (index % 2) * 14}" fill="#52525b">${escapeXml(text)}</text>`,
  );
  const minutes = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<text x="${x(report.seconds * part)}" y="${top + innerHeight + 18}" text-anchor="middle">` +
      `${Math.round((report.seconds * part) / 60)} min</text>`,
  );
  const font = 'font-family="system-ui, sans-serif" font-size="12" fill="#18181b"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${font}>
<title>${escapeXml(title)}</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="${left}" y="20" font-size="14" font-weight="600">${escapeXml(title)}</text>
${[...grid, ...marks, ...minutes, ...lines].join('\n')}
</svg>
`;
}

/** The workload of the plot in docs/scheduling.md. */
export const shownWorkload: Workload = {
  name: 'shares over time',
  capacity: { slots: 40 },
  customers: [
    { id: 'gold, weight 3', weight: 3 },
    { id: 'silver, weight 2', weight: 2 },
    { id: 'new, weight 1', weight: 1 },
  ],
  sources: [
    { customerId: 'gold, weight 3', seconds: 60, waiting: 60 },
    { customerId: 'silver, weight 2', seconds: 90, waiting: 60, to: 5_400 },
    { customerId: 'new, weight 1', seconds: 30, waiting: 60, from: 1_800 },
  ],
  changes: [{ time: 3_600, share: { id: 'new, weight 1', weight: 5 } }],
  costModel: 'shareTime',
  untilSeconds: 7_200,
};

/** The notes of the plot in docs/scheduling.md, at their times in seconds. */
export const shownNotes = [
  { time: 1_800, text: 'new arrives' },
  { time: 3_600, text: 'new gets weight 5' },
  { time: 5_400, text: 'silver submits no more' },
];

function spread({ start, end, slots }: Admission, held: Float64Array, windowSeconds: number): void {
  for (let window = Math.floor(start / windowSeconds); window < held.length && window * windowSeconds < end; window++) {
    const from = Math.max(start, window * windowSeconds);
    const to = Math.min(end, (window + 1) * windowSeconds);
    held[window] = (held[window] as number) + (to - from) * slots;
  }
}

const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** What the Temporal Web UI shows of an Insight's admission: Markdown, within Temporal's 20,000 bytes because the view is small. */
import type { AdmissionState, AdmissionView } from './messages.ts';

/** Depth, limits, shares and the last decisions, as of the time it names. */
export function admissionDetails({ ticks, admitted, againTime, view }: AdmissionState): string {
  const lines = [`${ticks} ticks; ${admitted} Agendas admitted in this run`];
  if (againTime !== undefined) lines.push('', `Next look without a wake: ${iso(againTime)}`);
  return view === undefined
    ? lines.join('\n')
    : [...lines, ...depthLines(view), ...shareLines(view), ...decisionLines(view)].join('\n');
}

function depthLines({
  time,
  waiting,
  waitingIsMore,
  oldestSeconds,
  running,
  queued,
  poolSlots,
  limits,
}: AdmissionView): string[] {
  const of = (limit: number | undefined) => (limit === undefined ? '' : ` of at most ${limit}`);
  return [
    ...['', `As of ${iso(time)}`, '', '| | |', '|---|---|'],
    `| waiting | ${counted(waiting, waitingIsMore)}${oldestSeconds === undefined ? '' : `, the oldest for ${round(oldestSeconds)} s`} |`,
    `| running | ${running}${of(limits.maximumRunning)} |`,
    `| of these not at work yet | ${queued}${of(limits.queueSize)} |`,
    `| slots of the pool in use | ${round(poolSlots)}${of(limits.poolSlots)} |`,
  ];
}

function shareLines({ shares }: AdmissionView): string[] {
  if (shares.length === 0) return [];
  return [
    ...['', '| customer | weight | share | received | running | waiting | lag |', '|---|---|---|---|---|---|---|'],
    ...shares.map(({ customerId, weight, share, received, running, waiting, waitingIsMore, lag }) =>
      row(customerId, weight, percent(share), percent(received), running, counted(waiting, waitingIsMore), lag),
    ),
  ];
}

function decisionLines({ decisions }: AdmissionView): string[] {
  if (decisions.length === 0) return [];
  return [
    ...['', '| decision | Agenda | customer | reason | cost |', '|---|---|---|---|---|'],
    ...decisions.map(({ number, agendaId, customerId, reason, cost }) =>
      row(number, agendaId, customerId, reason, cost),
    ),
  ];
}

const row = (...cells: (string | number | undefined)[]): string =>
  `| ${cells.map((cell) => (typeof cell === 'string' ? text(cell) : cell === undefined ? '' : round(cell))).join(' | ')} |`;
const text = (cell: string): string => cell.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll(/\s/g, ' ');
const round = (value: number): number => Math.round(value * 1000) / 1000;
const percent = (part: number | undefined): string => (part === undefined ? '' : `${Math.round(part * 1000) / 10} %`);
const counted = (count: number, isMore: boolean): string => `${count}${isMore ? '+' : ''}`;
const iso = (time: number): string => new Date(time).toISOString();

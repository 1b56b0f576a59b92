/**
 * What the Temporal Web UI shows of an Insight's admission: Markdown, within Temporal's 20,000 bytes because the view
 * is small.
 */

import { brief, tableHead, tableRow } from './markdown-table.ts';
import type { AdmissionState } from './messages.ts';
import type { QueueView } from './queue-view.ts';

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
}: QueueView): string[] {
  const of = (limit: number | undefined) => (limit === undefined ? '' : ` of at most ${limit}`);
  const oldest = oldestSeconds === undefined ? '' : `, the oldest for ${brief(oldestSeconds)} s`;
  return [
    ...['', `As of ${iso(time)}`, ''],
    ...tableHead('', ''),
    tableRow('waiting', counted(waiting, waitingIsMore) + oldest),
    tableRow('running', `${running}${of(limits.maximumRunning)}`),
    tableRow('of these not at work yet', `${queued}${of(limits.queueSize)}`),
    tableRow('slots of the pool in use', `${brief(poolSlots)}${of(limits.poolSlots)}`),
  ];
}

function shareLines({ shares }: QueueView): string[] {
  if (shares.length === 0) return [];
  return [
    '',
    ...tableHead('customer', 'weight', 'share', 'received', 'running', 'waiting', 'lag'),
    ...shares.map(({ customerId, weight, share, received, running, waiting, waitingIsMore, lag }) =>
      tableRow(customerId, weight, percent(share), percent(received), running, counted(waiting, waitingIsMore), lag),
    ),
  ];
}

function decisionLines({ decisions }: QueueView): string[] {
  if (decisions.length === 0) return [];
  return [
    '',
    ...tableHead('decision', 'Agenda', 'customer', 'reason', 'cost'),
    ...decisions.map(({ number, agendaId, customerId, reason, cost }) =>
      tableRow(number, agendaId, customerId, reason, cost),
    ),
  ];
}

const percent = (part: number | undefined): string => (part === undefined ? '' : `${Math.round(part * 1000) / 10} %`);
const counted = (count: number, isMore: boolean): string => `${count}${isMore ? '+' : ''}`;
const iso = (time: number): string => new Date(time).toISOString();

import { expect, test } from 'vitest';
import { type Drawn, draw, type Pen } from './picture.ts';

const pen: Pen = { columns: 90, rows: 24, colours: false, now: 4_000 };
const running: Drawn = {
  customer: 'Acme Studios',
  title: 'trailer',
  operations: [
    { name: 'probe', type: 'mediaInfo' },
    { name: '720p', type: 'transcode' },
    { name: 'package', type: 'package' },
  ],
  progress: {
    agendaId: 'a',
    processingState: 'EXECUTING',
    processingStateMessage: 'Running Operations',
    percentComplete: 50,
    startedTime: 1_000,
    operationProgress: [
      operation('720p', 'EXECUTING', 'running', 25, 2_000),
      operation('probe', 'COMPLETE', 'succeeded', 100, 1_000, 1_500),
      operation('package', 'WAITING', 'pending', 0),
    ],
  },
};

function operation(
  name: string,
  processingState: 'WAITING' | 'EXECUTING' | 'COMPLETE',
  processingStateMessage: string,
  percentComplete: number,
  startedTime?: number,
  endedTime?: number,
) {
  const times = {
    ...(startedTime === undefined ? {} : { startedTime }),
    ...(endedTime === undefined ? {} : { endedTime }),
  };
  return {
    operation: name,
    processingState,
    processingStateMessage,
    percentComplete,
    attemptCount: 1,
    launch: 1,
    ...times,
  };
}

test('a running Agenda is drawn with its Operations in the order of the Agenda', () => {
  expect(draw([running], pen)).toEqual([
    'Acme Studios   trailer          executing ██████████░░░░░░░░░░  50 %    3.0 s',
    '  ├─ ✓ probe              mediaInfo  succeeded                     0.5 s',
    '  ├─ ▸ 720p               transcode  █████░░░░░░░░░░░░░░░  25 %    2.0 s',
    '  └─ · package            package',
  ]);
});

test('an Agenda that waits or is over takes one line', () => {
  const waiting: Drawn = { ...running, progress: { ...running.progress, processingState: 'WAITING' } };
  const over: Drawn = {
    ...running,
    progress: { ...running.progress, processingState: 'COMPLETE', processingStateMessage: 'succeeded' },
  };
  expect(draw([waiting, over], pen)).toHaveLength(2);
});

test('a picture higher than the terminal leaves the Operations out', () => {
  expect(draw([running, running], { ...pen, rows: 5 })).toHaveLength(2);
});

test('no line is wider than the terminal, colours not counted', () => {
  const lines = draw([running], { ...pen, columns: 40, colours: true });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ANSI escapes begin with one
  for (const line of lines) expect(line.replaceAll(/\x1b\[\d+m/g, '').length).toBeLessThanOrEqual(40);
  expect(lines.join('')).toContain('\x1b[');
});

import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Drawn } from './picture.ts';
import { Screen } from './screen.ts';

/** An output that keeps what is written; with columns it is a terminal. */
function output(terminal: { columns: number; rows: number } | undefined) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  return { stream: Object.assign(stream, terminal === undefined ? {} : { isTTY: true, ...terminal }), written };
}

function agenda(processingState: 'WAITING' | 'EXECUTING' | 'COMPLETE', processingStateMessage = ''): Drawn {
  const operationProgress = [
    { operation: 'probe', processingState, processingStateMessage, percentComplete: 0, attemptCount: 1, launch: 1 },
  ] as const;
  const progress = { agendaId: 'a', processingState, processingStateMessage, percentComplete: 0, operationProgress };
  return { customer: 'Acme', title: 'trailer', operations: [{ name: 'probe', type: 'mediaInfo' }], progress };
}

test('where there is no terminal every change is one plain line', () => {
  const { stream, written } = output(undefined);
  const screen = new Screen(stream, {});
  for (const each of [agenda('WAITING'), agenda('EXECUTING'), agenda('EXECUTING'), agenda('COMPLETE', 'succeeded')])
    screen.show([each]);
  expect(written).toEqual([
    'Acme, trailer: waiting\n',
    'Acme, trailer: executing\n',
    'Acme, trailer: probe executing\n',
    'Acme, trailer: probe succeeded\n',
    'Acme, trailer: succeeded\n',
  ]);
});

test('on a terminal the picture is drawn over the one before, and what is said goes above it', () => {
  const { stream, written } = output({ columns: 80, rows: 24 });
  const screen = new Screen(stream, { NO_COLOR: '1' });
  screen.show([agenda('EXECUTING')]);
  screen.show([agenda('EXECUTING')]);
  const picture = written[1]?.split('\n');
  expect(picture?.[0]?.startsWith('\x1b[2A')).toBe(true);
  screen.say('news');
  expect(written[2]?.split('\n').map((line) => line.replace('\x1b[2K', ''))[0]).toBe('\x1b[2Anews');
  expect(written[2]?.split('\n').slice(2)).toEqual(picture?.slice(1));
});

test('a picture that was left stays, and what is said goes below it', () => {
  const { stream, written } = output({ columns: 80, rows: 24 });
  const screen = new Screen(stream, {});
  screen.show([agenda('COMPLETE', 'succeeded')]);
  screen.leave();
  screen.say('news');
  expect(written.slice(1)).toEqual(['\x1b[?25h', 'news\n']);
});

test('NO_COLOR is honoured, the redraw stays', () => {
  const { stream, written } = output({ columns: 80, rows: 24 });
  const [plain, coloured] = [new Screen(stream, { NO_COLOR: '1' }), new Screen(stream, { NO_COLOR: '' })];
  for (const screen of [plain, coloured]) screen.show([agenda('EXECUTING')]);
  expect(written.map((text) => text.includes('\x1b[1m'))).toEqual([false, true]);
  expect(written.map((text) => text.includes('\x1b[2K'))).toEqual([true, true]);
});

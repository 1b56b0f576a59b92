import { expect, test } from 'vitest';
import { RunScreen, type ShownOperation } from './run-screen.ts';

/** A stream that keeps what was written. */
function kept(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, columns: 30, text: () => written.join(''), write: (text: string) => written.push(text) > 0 };
}

const executing = (message: string, percentComplete = 0): ShownOperation => ({
  ...{ operation: 'a', processingState: 'EXECUTING', outcome: null, diagnosticEvents: null },
  ...{ processingStateMessage: message, percentComplete },
});
const failed: ShownOperation = {
  ...{ operation: 'a', processingState: 'COMPLETE', processingStateMessage: 'failed', percentComplete: 0 },
  ...{ outcome: 'timedOut', diagnosticEvents: [{ message: 'Too slow.\nBy far.' }] },
};

/** What a terminal shows after all that was written to it. */
function shown(text: string): string[] {
  const lines = [''];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what moves the cursor
  for (const [part, up] of text.matchAll(/\u001B\[(\d+)A\u001B\[0J|\n|[^\n\u001B]+/g)) {
    if (up !== undefined) lines.splice(lines.length - 1 - Number(up), Number(up) + 1, '');
    else if (part === '\n') lines.push('');
    else lines[lines.length - 1] += part;
  }
  return lines.slice(0, -1);
}

test('elsewhere than on a terminal there is a line for each thing that happened, and for nothing twice', () => {
  const stream = kept(false);
  using screen = new RunScreen(stream);
  screen.changed(executing('executing'));
  screen.changed(executing('half', 50));
  screen.changed(executing('half', 51));
  screen.line('said');
  screen.changed(failed);
  screen.changed(failed);
  const lines = stream.text().split('\n');
  expect(lines.slice(0, 3)).toEqual(['a: executing', 'a: 50 % half', 'said']);
  expect(lines[3]).toMatch(/^a: timedOut after \d+\.\d s: Too slow\. By far\.$/);
  expect(lines.slice(4)).toEqual(['']);
});

test('on a terminal what executes is drawn again below what stays, cut to the width', async () => {
  const stream = kept(true);
  using screen = new RunScreen(stream);
  screen.changed(executing('reading a file with a long name', 10));
  screen.changed({ ...executing('begun'), operation: 'b' });
  await expect.poll(() => shown(stream.text())).toEqual(['… a: 10 % reading a file with', '… b: begun']);
  screen.line('said');
  expect(shown(stream.text())).toEqual(['said', '… a: 10 % reading a file with', '… b: begun']);
  screen.changed(failed);
  expect(shown(stream.text())).toEqual(['said', expect.stringMatching(/^a: timedOut/), '… b: begun']);
  screen[Symbol.dispose]();
  expect(shown(stream.text())).toEqual(['said', expect.stringMatching(/^a: timedOut/)]);
});

test('what a handler says of itself moves no cursor', () => {
  const stream = kept(false);
  using screen = new RunScreen(stream);
  screen.changed(executing('\u001B[2Jgone\r\nand\u0007 on'));
  expect(stream.text()).toBe('a: gone and on\n');
});

import { expect, test } from 'vitest';
import { Frames, timeOfStamp } from './container-log.ts';

function frame(stream: number, text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

test.each([1, 3, 7, 8, 9, 1_000])('frames are taken apart when they come in pieces of %i bytes', (size) => {
  const whole = Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n'), frame(1, ''), frame(1, 'über\n')]);
  const heard = { standard: '', error: '', frames: 0 };
  const bytes: Record<'standard' | 'error', Buffer[]> = { standard: [], error: [] };
  const frames = new Frames((chunk, isStandard, isFirst) => {
    bytes[isStandard ? 'standard' : 'error'].push(chunk);
    if (isFirst) heard.frames += 1;
  });
  for (let at = 0; at < whole.length; at += size) frames.write(whole.subarray(at, at + size));
  heard.standard = Buffer.concat(bytes.standard).toString();
  heard.error = Buffer.concat(bytes.error).toString();
  expect(heard).toEqual({ standard: 'out\nüber\n', error: 'err\n', frames: 3 });
});

test('a stamp of whole seconds counts to the end of its second', () => {
  expect(timeOfStamp('2026-01-02T03:04:05.250000000Z text')).toBe(Date.parse('2026-01-02T03:04:05.250Z'));
  expect(timeOfStamp('2026-01-02T03:04:05Z text')).toBe(Date.parse('2026-01-02T03:04:05.999Z'));
  expect(timeOfStamp('the rest of a long line')).toBeUndefined();
});

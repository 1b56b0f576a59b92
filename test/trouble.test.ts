import { expect, test } from 'vitest';
import { troubleOf } from './support/trouble.ts';
import { until } from './support/until.ts';

test('an error is told with its causes, each by its first line, and none twice', () => {
  const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
  const failed = new TypeError('fetch failed\nat once', { cause: refused });
  expect(troubleOf(failed)).toBe('fetch failed: ECONNREFUSED');
  expect(troubleOf(new Error('no answer (fetch failed: ECONNREFUSED)', { cause: failed }))).toBe(
    'no answer (fetch failed: ECONNREFUSED)',
  );
  const round: { message: string; cause?: unknown } = { message: 'round' };
  round.cause = { message: 'and', cause: round };
  expect(troubleOf(round)).toBe('round: and');
  expect(troubleOf(undefined)).toBe('undefined');
});

test('who waits in vain is told the last trouble', async () => {
  let looks = 0;
  const look = () => {
    looks += 1;
    throw new TypeError('fetch failed', { cause: new Error(`no door ${looks}`) });
  };
  const waiting = until('somebody opens', look, 0.06);
  await expect(waiting).rejects.toThrow(
    /^After 0.06 s still not so: somebody opens \(at last: fetch failed: no door [2-9]\)$/,
  );
  await expect(until('somebody opens', () => undefined, 0.01)).rejects.toThrow(/: somebody opens$/);
  await expect(until('somebody opens', () => (looks > 0 ? 'open' : undefined))).resolves.toBe('open');
});

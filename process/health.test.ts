import { expect, test } from 'vitest';
import { Health } from './health.ts';

test('it is not ready while it starts and says what it waits for, then ready, then draining for good', async () => {
  const health = new Health();
  expect(health.readyz()).toEqual({ status: 503, body: { status: 'starting', reason: 'starting' } });
  const [temporal, api] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()];
  const waits = [health.during('Temporal', temporal.promise), health.during('the api', api.promise)] as const;
  expect(health.readyz().body.reason).toBe('waiting for Temporal, the api');
  temporal.resolve(7);
  expect(await waits[0]).toBe(7);
  expect(health.readyz().body.reason).toBe('waiting for the api');
  api.reject(new Error('refused'));
  await expect(waits[1]).rejects.toThrow('refused');
  health.ready();
  expect(health.readyz()).toEqual({ status: 200, body: { status: 'ok' } });
  health.draining('SIGTERM');
  health.ready();
  expect(health.readyz()).toEqual({ status: 503, body: { status: 'draining', reason: 'shutting down: SIGTERM' } });
  expect(health.livez().status).toBe(200);
});

test('it is alive until something in it is stuck, and again after that', () => {
  const health = new Health();
  let why: string | undefined;
  health.stuckWhen(() => undefined);
  health.stuckWhen(() => why);
  expect(health.livez()).toEqual({ status: 200, body: { status: 'ok' } });
  why = 'nobody polls';
  expect(health.livez()).toEqual({ status: 503, body: { status: 'stuck', reason: 'nobody polls' } });
  why = undefined;
  expect(health.livez().status).toBe(200);
});

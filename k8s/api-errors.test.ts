import { Response } from 'undici';
import { describe, expect, test } from 'vitest';
import { LaunchError } from '../launchers/launcher.ts';
import { ApiError, apiErrorOf, isNotFound, isTaken, refusalOf } from './api-errors.ts';

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  ApiError.of(new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers }));

describe('an answer that refuses', () => {
  test('is told in the server’s words, with its reason', async () => {
    const error = await answer(409, { kind: 'Status', reason: 'AlreadyExists', message: 'pods "a" already exists' });
    expect(error).toMatchObject({ status: 409, reason: 'AlreadyExists', message: 'pods "a" already exists' });
    expect(isTaken(error)).toBe(true);
    expect(isTaken(await answer(409, { reason: 'Conflict', message: 'the object has been modified' }))).toBe(false);
    expect(isNotFound(await answer(404, 'page not found'))).toBe(true);
  });

  test('without words of the server’s says what there is', async () => {
    expect((await answer(502, '<html>Bad gateway</html>')).message).toBe('<html>Bad gateway</html>');
    expect((await answer(500, 'null')).message).toBe('null');
    expect((await ApiError.of(new Response('', { status: 503, statusText: 'Away' }))).message).toBe('Away');
    expect((await answer(500, 'x'.repeat(100_000))).message.length).toBeLessThanOrEqual(2_001);
  });

  test('says when to ask again, by its header or in its words', async () => {
    expect((await answer(429, 'slow down', { 'retry-after': '7' })).retryAfterSeconds).toBe(7);
    const told = { message: 'slow down', details: { retryAfterSeconds: 3 } };
    expect((await answer(429, told)).retryAfterSeconds).toBe(3);
    const date = { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' };
    expect((await answer(429, 'slow down', date)).retryAfterSeconds).toBeUndefined();
  });

  test.each([
    ...[0, 408, 425, 429, 500, 502, 503, 504].map((status) => [status, true] as const),
    ...[400, 401, 403, 404, 409, 410, 422].map((status) => [status, false] as const),
  ])('%i may be taken a moment later: %o', (status, isPassing) => {
    expect(new ApiError(status, 'x').isPassing).toBe(isPassing);
  });
});

test('whatever else was thrown means that there was no answer, and says why', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
  expect(apiErrorOf(new TypeError('fetch failed', { cause }), 'https://cluster')).toMatchObject({
    status: 0,
    message: 'The API server at https://cluster does not answer: connect ECONNREFUSED 127.0.0.1:1',
  });
  expect(apiErrorOf('odd', 'https://cluster').message).toContain('odd');
  const own = new ApiError(403, 'no');
  expect(apiErrorOf(own, 'https://cluster')).toBe(own);
});

describe('the refusal of a Pod', () => {
  test.each([
    [422, 'Pod "op-1" is invalid: spec.containers[0].image: Required value'],
    [400, 'strict decoding error: unknown field "spec.nodeSelect"'],
    [403, 'pods "op-1" is forbidden: violates PodSecurity "restricted:latest": privileged'],
    [403, 'admission webhook "policy.example" denied the request: no such image here'],
  ])('%i %s is final', (status, message) => {
    const error = refusalOf(new ApiError(status, message));
    expect(error).toBeInstanceOf(LaunchError);
    expect(error).toMatchObject({ code: 'podRefused', message: `The cluster refuses the Pod: ${message}` });
  });

  test.each([
    [403, 'pods "op-1" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10'],
    [403, 'pods "op-1" is forbidden: unable to create new content in namespace a because it is being terminated'],
    [403, 'pods is forbidden: User "worker" cannot create resource "pods" in API group "" in the namespace "a"'],
    [403, 'pods "op-1" is forbidden: error looking up service account a/media: serviceaccount "media" not found'],
    [403, 'pods "op-1" is forbidden: no API token found for service account "media"'],
    [404, 'namespaces "a" not found'],
    [401, 'Unauthorized'],
    [429, 'too many requests'],
    [500, 'failed calling webhook "policy.example"'],
    [0, 'The API server does not answer'],
  ])('%i %s is lifted by an operator or by time', (status, message) => {
    const error = new ApiError(status, message);
    expect(refusalOf(error)).toBe(error);
  });

  test('is nothing else’s', () => {
    const error = new LaunchError('nameTaken', 'x');
    expect(refusalOf(error)).toBe(error);
  });
});

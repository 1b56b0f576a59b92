import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { mostProgressItems } from '../../messages/limits.ts';
import type { FinishOperationItem, StartOperationItem } from '../../messages/resource-pool.ts';
import { ResourcePoolClient, type ResourcePoolClientOptions } from './resource-pool-client.ts';
import { retryAfterSeconds, ServiceRefused } from './service-errors.ts';

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly items: readonly { operation: string }[];
  /** Verdicts that name their items, unless told otherwise. */
  answer(status?: number, body?: unknown, headers?: Record<string, string>): void;
  /** Cuts the connection. */
  drop(): void;
}

async function service(
  onRequest: (asked: Asked, number: number) => void,
  options: Partial<ResourcePoolClientOptions> = {},
) {
  const requests: Asked[] = [];
  const server = createServer(async (request, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { items } = JSON.parse(Buffer.concat(chunks).toString()) as { items: { operation: string }[] };
    const asked: Asked = {
      path: request.url ?? '',
      authorization: request.headers.authorization,
      items,
      answer: (
        status = 200,
        body = { items: items.map(({ operation }) => ({ verdict: 'ended', outcome: operation })) },
        headers = {},
      ) => {
        response.writeHead(status, headers).end(JSON.stringify(body));
      },
      drop: () => response.destroy(),
    };
    requests.push(asked);
    onRequest(asked, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new ResourcePoolClient({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`,
    headers: { authorization: 'Bearer pop_key' },
    ...options,
  });
  return {
    client,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const never = new AbortController().signal;
const item = (operation: string): StartOperationItem => ({
  agendaId: 'a',
  attempt: 1,
  operation,
  place: 'here',
  worker: 'w',
});
const end = (operation: string, result?: string): FinishOperationItem => ({
  agendaId: 'a',
  attempt: 1,
  operation,
  operationAttempt: 1,
  launch: 1,
  outcome: 'succeeded',
  ...(result === undefined ? {} : { result }),
});
const names = ({ items }: Asked) => items.map(({ operation }) => operation);

describe('an answer without room for all', () => {
  const later = { verdict: 'later', inMilliseconds: 0 };
  const ended = (operation: string) => ({ verdict: 'ended', outcome: operation });

  test('brings the rest with the next request, behind what came meanwhile, and nobody hears of it', async () => {
    await using it = await service(
      (asked, number) => {
        if (number === 1) return;
        asked.answer(200, { items: names(asked).map((name, n) => (n < 2 ? ended(name) : later)) });
      },
      { gather: { mostItems: 4, mostRequests: 1 } },
    );
    const all = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5'].map((name) => it.client.startOperation(item(name), never));
    await vi.waitFor(() => expect(it.requests).toHaveLength(1));
    it.requests[0]?.answer();
    expect(await Promise.all(all)).toEqual(['n0', 'n1', 'n2', 'n3', 'n4', 'n5'].map(ended));
    expect(it.requests.map(names)).toEqual([['n0'], ['n1', 'n2', 'n3', 'n4'], ['n5', 'n3', 'n4'], ['n4']]);
  });

  test('is not asked for again by who gave up meanwhile', async () => {
    await using it = await service(() => undefined, { gather: { mostRequests: 1 } });
    const given = new AbortController();
    const first = it.client.startOperation(item('first'), never);
    const [kept, dropped] = [
      it.client.startOperation(item('kept'), never),
      it.client.startOperation(item('dropped'), given.signal),
    ];
    dropped.catch(() => undefined);
    await vi.waitFor(() => expect(it.requests).toHaveLength(1));
    it.requests[0]?.answer();
    await vi.waitFor(() => expect(it.requests).toHaveLength(2));
    given.abort(new Error('given up'));
    it.requests[1]?.answer(200, { items: [ended('kept'), later] });
    expect(await kept).toEqual(ended('kept'));
    await expect(dropped).rejects.toThrow('given up');
    await first;
    const last = it.client.startOperation(item('last'), never);
    await vi.waitFor(() => expect(it.requests).toHaveLength(3));
    it.requests[2]?.answer();
    await last;
    expect(names(it.requests[2] as Asked)).toEqual(['last']);
  });

  test('that brings nothing at all is told as it is', async () => {
    await using it = await service((asked) => asked.answer(200, { items: names(asked).map(() => later) }));
    expect(await it.client.startOperation(item('one'), never)).toEqual(later);
    expect(it.requests).toHaveLength(1);
  });
});

describe('gathering', () => {
  test('a lone question goes out at once, with the key, and gets its verdict', async () => {
    await using it = await service((asked) => asked.answer());
    expect(await it.client.startOperation(item('one'), never)).toEqual({ verdict: 'ended', outcome: 'one' });
    expect(it.requests.map(({ path, authorization }) => [path, authorization])).toEqual([
      ['/v1/resourcepool/service/startOperation', 'Bearer pop_key'],
    ]);
  });

  test('what comes soon after a request goes as one, and each caller gets its own verdict', async () => {
    await using it = await service((asked, number) => number > 1 && asked.answer(), {
      gather: { gatherMilliseconds: 300 },
    });
    const first = it.client.startOperation(item('first'), never);
    const others = Array.from({ length: 50 }, (_, index) => it.client.startOperation(item(`n${index}`), never));
    await vi.waitFor(() => expect(it.requests).toHaveLength(1));
    it.requests[0]?.answer();
    expect(await first).toEqual({ verdict: 'ended', outcome: 'first' });
    expect(await Promise.all(others)).toEqual(
      Array.from({ length: 50 }, (_, index) => ({ verdict: 'ended', outcome: `n${index}` })),
    );
    expect(it.requests.map((asked) => asked.items.length)).toEqual([1, 50]);
  });

  test('after a request of many the next one gathers longer, up to a limit', async () => {
    const gather = { gatherMilliseconds: 40, longestGatherMilliseconds: 200 };
    await using it = await service((asked) => asked.answer(), { gather });
    const ask = (...all: string[]) =>
      Promise.all(all.map((operation) => it.client.startOperation(item(operation), never)));
    await ask('first', ...Array.from({ length: 20 }, (_, index) => `n${index}`));
    const begun = performance.now();
    await ask('later');
    // The request of twenty went just before: a lone one would have waited 40 ms at most.
    expect(performance.now() - begun).toBeGreaterThan(100);
    expect(it.requests.map((asked) => asked.items.length)).toEqual([1, 20, 1]);
  });

  test('nobody waits long for a request that hangs', async () => {
    await using it = await service((asked, number) => number > 1 && asked.answer());
    const hanging = it.client.startOperation(item('first'), never);
    await Promise.all([it.client.startOperation(item('a'), never), it.client.startOperation(item('b'), never)]);
    expect(it.requests.map(names)).toEqual([['first'], ['a', 'b']]);
    it.requests[0]?.answer();
    await hanging;
  });

  test('a request holds at most so many items', async () => {
    await using it = await service((asked, number) => number > 1 && asked.answer(), { gather: { mostItems: 4 } });
    const all = Array.from({ length: 10 }, (_, index) => it.client.startOperation(item(`n${index}`), never));
    await Promise.all(all.slice(1));
    it.requests[0]?.answer();
    await all[0];
    expect(it.requests.map(names)).toEqual([['n0'], ['n1', 'n2', 'n3', 'n4'], ['n5', 'n6', 'n7', 'n8'], ['n9']]);
  });

  test('a request holds at most so many bytes, but always one item', async () => {
    await using it = await service((asked, number) => number > 1 && asked.answer(), { gather: { mostBytes: 1_000 } });
    const all = [end('first'), end('small'), end('large', 'x'.repeat(2_000)), end('s2'), end('s3')].map((each) =>
      it.client.finishOperation(each, never),
    );
    await Promise.all(all.slice(1));
    it.requests[0]?.answer();
    await all[0];
    expect(it.requests.map(names)).toEqual([['first'], ['small'], ['large'], ['s2', 's3']]);
  });

  test('progress of as many Operations as a worker may have is one request', async () => {
    await using it = await service((asked) => asked.answer());
    const { agendaId, attempt, operationAttempt, launch } = end('x');
    const items = Array.from({ length: mostProgressItems }, (_, n) => `o${n}`);
    await it.client.reportProgress(
      items.map((operation) => ({ agendaId, attempt, operation, operationAttempt, launch })),
    );
    expect(it.requests.map(({ items: sent }) => sent.length)).toEqual([mostProgressItems]);
  });

  test('progress of many Operations is cut into requests and answered in order', async () => {
    await using it = await service((asked) => asked.answer(), { gather: { mostItems: 2 } });
    const { agendaId, attempt, operationAttempt, launch } = end('x');
    const answers = await it.client.reportProgress(
      ['a', 'b', 'c'].map((operation) => ({ agendaId, attempt, operation, operationAttempt, launch })),
    );
    expect(answers).toEqual(['a', 'b', 'c'].map((outcome) => ({ verdict: { verdict: 'ended', outcome } })));
    expect(it.requests.map(names)).toEqual([['a', 'b'], ['c']]);
  });
});

describe('trouble', () => {
  test('network errors, 5xx and answers that are not verdicts are tried again until answered, in order', async () => {
    const changes: boolean[] = [];
    await using it = await service(
      (asked, number) => {
        if (number === 1) asked.drop();
        else if (number === 2) asked.answer(500);
        else if (number === 3) asked.answer(503, { detail: 'starting' });
        else if (number === 4) asked.answer(200, { items: [] });
        else asked.answer();
      },
      { gather: { firstRestMilliseconds: 2 }, onReachable: (reachable) => changes.push(reachable) },
    );
    const answers = await Promise.all(['a', 'b'].map((name) => it.client.finishOperation(end(name), never)));
    expect(answers).toEqual(['a', 'b'].map((outcome) => ({ verdict: 'ended', outcome })));
    expect(it.requests.length).toBeGreaterThanOrEqual(5);
    expect(names(it.requests.at(-1) as Asked)).toEqual(['a', 'b']);
    expect(changes).toEqual([false, true]);
  });

  test('Retry-After is honoured', async () => {
    await using it = await service(
      (asked, number) => (number === 1 ? asked.answer(429, {}, { 'retry-after': '0.4' }) : asked.answer()),
      {
        gather: { firstRestMilliseconds: 1 },
      },
    );
    const begun = performance.now();
    await it.client.startOperation(item('a'), never);
    expect(performance.now() - begun).toBeGreaterThan(390);
  });

  test('Retry-After is read as seconds or as a date, within a minute', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(retryAfterSeconds(null)).toBeUndefined();
    expect(retryAfterSeconds('7')).toBe(7);
    expect(retryAfterSeconds('Thu, 01 Jan 2026 00:00:20 GMT', now)).toBe(20);
    expect(retryAfterSeconds('Wed, 31 Dec 2025 00:00:20 GMT', now)).toBe(0);
    expect(retryAfterSeconds('86400')).toBe(60);
    expect(retryAfterSeconds('soon')).toBeUndefined();
  });

  test('a caller that gives up is let go at once, and its item is not sent again', async () => {
    const giveUp = new AbortController();
    let healthy = false;
    await using it = await service((asked) => (healthy ? asked.answer() : asked.answer(503)), {
      gather: { firstRestMilliseconds: 20 },
    });
    const given = it.client.startOperation(item('given up'), giveUp.signal);
    const kept = it.client.startOperation(item('kept'), never);
    await vi.waitFor(() => expect(it.requests.length).toBeGreaterThan(2));
    giveUp.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    healthy = true;
    await kept;
    expect(names(it.requests.at(-1) as Asked)).toEqual(['kept']);
  });

  test.each([401, 403, 404])('%i is for good and carries the message of the problem', async (status) => {
    await using it = await service((asked) =>
      asked.answer(status, { title: 'No', detail: 'This key is not for this pool.', code: 'wrongPool' }),
    );
    const refusal = await it.client.startOperation(item('a'), never).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ServiceRefused);
    expect(refusal).toMatchObject({
      status,
      code: 'wrongPool',
      message: `The ResourcePool service answered ${status}: This key is not for this pool.`,
    });
    expect(it.requests).toHaveLength(1);
  });

  test('one bad item fails alone, its neighbours are answered', async () => {
    await using it = await service((asked, number) => {
      if (number === 1) return;
      if (names(asked).includes('bad'))
        asked.answer(422, { detail: 'bad', errors: [{ pointer: '/items/0', message: 'is wrong' }] });
      else asked.answer();
    });
    const first = it.client.finishOperation(end('first'), never);
    const all = ['a', 'b', 'bad', 'c', 'd'].map((name) => it.client.finishOperation(end(name), never));
    const settled = await Promise.allSettled(all);
    it.requests[0]?.answer();
    await first;
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect((settled[2] as PromiseRejectedResult).reason.message).toContain('/items/0 is wrong');
  });

  test('a question whose answer is too late is asked again', async () => {
    await using it = await service((asked, number) => number > 1 && asked.answer(), {
      requestTimeoutMilliseconds: 200,
      gather: { firstRestMilliseconds: 1 },
    });
    expect(await it.client.startOperation(item('a'), never)).toEqual({ verdict: 'ended', outcome: 'a' });
    // On a busy machine a prompt answer may be too late as well.
    expect(it.requests.length).toBeGreaterThan(1);
  });
});

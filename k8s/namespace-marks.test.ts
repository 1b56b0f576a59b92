import { afterEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../test/support/fake-api-server.ts';
import { KubernetesApi } from './kubernetes-api.ts';
import { labels } from './names.ts';
import { NamespaceMarks } from './namespace-marks.ts';

afterEach(() => vi.useRealTimers());

const mark = (fake: FakeApiServer, name: string, customer: string, more = {}) =>
  fake.put(`/api/v1/namespaces/${name}`, { metadata: { name, labels: { [labels.customerId]: customer, ...more } } });
const marksOn = (fake: FakeApiServer) => {
  const marks = new NamespaceMarks(new KubernetesApi(fake.config), 'p');
  return { marks, of: async (...names: string[]) => Object.fromEntries(await marks.of(new Set(names))) };
};

test('one list tells of all, and is not asked for again for those that it told of, or did not', async () => {
  await using fake = await FakeApiServer.open('plain');
  mark(fake, 'a', '1', { [labels.pool]: 'p' });
  mark(fake, 'b', '2');
  mark(fake, 'c', '3', { [labels.pool]: 'other' });
  const { of } = marksOn(fake);
  expect(await of()).toEqual({});
  expect(fake.requests).toEqual([]);
  await Promise.all([of('a'), of('plain', 'a')]);
  expect(await of('a', 'b', 'c', 'plain')).toEqual({ a: '1', b: '2' });
  // The second one waited for the first one's list, which may be older than what it asks for.
  expect(fake.requests.length).toBeLessThanOrEqual(3);
  const asked = fake.requests.length;
  await of('a', 'b', 'c', 'plain');
  expect(fake.requests).toHaveLength(asked);
});

test('one that was not there yet is looked for, and a mark is looked at again after a while', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  await using fake = await FakeApiServer.open();
  mark(fake, 'a', '1');
  const { marks, of } = marksOn(fake);
  await of('a');
  mark(fake, 'b', '2');
  expect(await of('a', 'b')).toEqual({ a: '1', b: '2' });
  mark(fake, 'a', '9');
  expect(await of('a')).toMatchObject({ a: '1' });
  vi.advanceTimersByTime(60_001);
  expect(await of('a')).toMatchObject({ a: '9' });
  mark(fake, 'a', '8');
  marks.forget('a');
  expect(await of('a')).toMatchObject({ a: '8' });
});

test('while the server does not tell, what was known counts, and what was not is an error', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  await using fake = await FakeApiServer.open();
  mark(fake, 'a', '1');
  const { of } = marksOn(fake);
  await of('a');
  vi.advanceTimersByTime(60_001);
  fake.refuse = () => ({ status: 403, message: 'not now' });
  expect(await of('a')).toEqual({ a: '1' });
  await expect(of('a', 'new')).rejects.toThrow('not now');
});

import { expect, test } from 'vitest';
import type { StartOperationItem } from '../../messages/resource-pool.ts';
import { beginningOf, isInReach } from './place.ts';

const ask: StartOperationItem = {
  agendaId: 'agenda',
  attempt: 1,
  operation: 'step',
  type: 'media',
  launcher: 'local',
  place: 'local:former',
  places: { local: 'local:here', inProcess: 'inProcess:me' },
  worker: 'w',
};
const { type: _type, launcher: _launcher, ...untyped } = ask;
const { places: _places, ...before } = untyped;

test('a launch begins at the place of its launcher', () => {
  expect(beginningOf({ type: 'media' }, ask)).toEqual({ launcher: 'local', place: 'local:here' });
  const inProcess = beginningOf({ type: 'media' }, { ...ask, launcher: 'inProcess' });
  expect(inProcess).toEqual({ launcher: 'inProcess', place: 'inProcess:me' });
});

test('where the type was not told, at that of the launcher which the worker has for it', () => {
  const asking = { ...untyped, launchers: { media: 'inProcess', other: 'local' } };
  expect(beginningOf({ type: 'media' }, asking)).toEqual({ launcher: 'inProcess', place: 'inProcess:me' });
  expect(beginningOf({ type: 'constructor' }, asking)).toEqual({ launcher: null, place: 'local:former' });
});

test('of a worker of version 0.1.0, or one that does not know the type, at its one place', () => {
  expect(beginningOf({ type: 'media' }, before)).toEqual({ launcher: null, place: 'local:former' });
  expect(beginningOf({ type: 'media' }, untyped)).toEqual({ launcher: null, place: 'local:former' });
  expect(beginningOf({ type: 'media' }, { ...ask, launcher: 'constructor' })).toMatchObject({ place: 'local:former' });
});

test('a launcher that was chosen for another type does not count', () => {
  expect(beginningOf({ type: 'other' }, ask)).toEqual({ launcher: null, place: 'local:former' });
});

test('in reach is what lives at any place of the worker', () => {
  for (const place of ['local:here', 'inProcess:me', 'local:former']) expect(isInReach(place, ask)).toBe(true);
  expect(isInReach('inProcess:another', ask)).toBe(false);
  expect(isInReach(null, ask)).toBe(false);
  expect(isInReach('local:former', before)).toBe(true);
  expect(isInReach('local:here', before)).toBe(false);
});

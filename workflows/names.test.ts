import { expect, test } from 'vitest';
import { namesOf, plainNames } from './names.ts';

test('without a name the names are those of version 0.1.0', () => {
  expect([
    ...[plainNames.controlQueue, plainNames.admissionQueue, plainNames.poolQueue('p')],
    ...[plainNames.agendaWorkflow('a'), plainNames.admissionWorkflow('i')],
  ]).toEqual(['control', 'admission', 'pool-p', 'agenda-a', 'admission-i']);
});

test('with a name each begins with it, and stays within the 255 bytes of a workflow id', () => {
  const north = namesOf('north');
  expect([
    ...[north.controlQueue, north.admissionQueue, north.poolQueue('p')],
    ...[north.agendaWorkflow('a'), north.admissionWorkflow('i'), north.markerWorkflow],
  ]).toEqual([
    ...['north.control', 'north.admission', 'north.pool-p', 'north.agenda-a', 'north.admission-i'],
    'north.pop-installation',
  ]);
  expect(namesOf('n'.repeat(40)).admissionWorkflow('i'.repeat(200)).length).toBeLessThanOrEqual(255);
});

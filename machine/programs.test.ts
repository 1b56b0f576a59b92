import { expect, test } from 'vitest';
import { usualHome } from '../process/usual-home.ts';
import { usualHome as ofSetup } from './programs.mjs';

test('what is set up and what runs keep their things in the same place', () => {
  expect(ofSetup).toBe(usualHome);
});

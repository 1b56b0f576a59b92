import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { LocalLauncher } from '../local/local-launcher.ts';
import { placeOf } from './place.ts';

const folder = mkdtempSync(join(tmpdir(), 'pop-place-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let roots = 0;
function newRoot(): string {
  const root = join(folder, `root-${++roots}`);
  mkdirSync(root);
  return root;
}

test('workers that share a run root have one place, over restarts', () => {
  const root = newRoot();
  expect(new LocalLauncher({ root }).place).toBe(new LocalLauncher({ root }).place);
  expect(placeOf(root)).toEqual({ place: new LocalLauncher({ root }).place });
});

test('two machines with one host name and path are two places, and so is a shared root used on two machines', () => {
  const root = newRoot();
  const here = placeOf(root, 'machine-1').place;
  expect(placeOf(root, 'machine-2').place).not.toBe(here);
  // The same path on another machine with the same name: its root has an id of its own.
  rmSync(root, { recursive: true });
  mkdirSync(root);
  expect(placeOf(root, 'machine-1').place).not.toBe(here);
});

test('the machine is told by a digest, never by its id', () => {
  let id: string | undefined;
  try {
    id = readFileSync('/etc/machine-id', 'utf8').trim();
  } catch {}
  const { place } = placeOf(newRoot());
  if (id) expect(place).not.toContain(id);
  expect(place).toMatch(/^local:[0-9a-f-]{36}@.+$/);
});

test('a root that held runs of version 0.1.0 keeps the name of then beside its own; a new one never claims it', () => {
  const root = newRoot();
  mkdirSync(join(root, 'op-1'));
  writeFileSync(join(root, 'op-1', 'run.json'), '{}');
  const former = `local:${hostname()}:${root}`;
  const launcher = new LocalLauncher({ root });
  expect(launcher.formerPlace).toBe(former);
  expect(launcher.place).not.toBe(former);
  // Also after the last of these runs is gone, for the record may still name it.
  rmSync(join(root, 'op-1'), { recursive: true });
  expect(placeOf(root).formerPlace).toBe(former);
  expect(new LocalLauncher({ root: newRoot() }).formerPlace).toBeUndefined();
});

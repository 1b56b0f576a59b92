/** One running system for the whole suite: every part a process of its own, as `pop up` runs them. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { System } from '../../machine/system.ts';
import { rowOfTest } from './row-of-test.ts';
import { rows } from './rows.ts';

/** Where tests find the running system. */
export interface RunningSystem {
  /** With the base path. */
  readonly url: string;
  /** A key that may do everything. */
  readonly operatorKey: string;
  readonly temporalAddress: string;
  readonly databaseUrl: string;
  /** The pool that the system's pool worker serves; tests find it made. */
  readonly poolId: string;
  readonly runDirectory: string;
  readonly controlLog: string;
  readonly poolLog: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    system: RunningSystem;
  }
}

const folder = fileURLToPath(new URL('.', import.meta.url));

/** Starts the system that all files of the suite share; returns the function that stops it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await checkTable();
  const home = await mkdtemp(join(tmpdir(), 'pop-parity-'));
  const system = await System.start({ home, registry: join(folder, 'registry.json'), restarts: true });
  const running: RunningSystem = {
    url: system.urls.api,
    operatorKey: system.keys.operator,
    temporalAddress: system.urls.temporal,
    databaseUrl: system.urls.database,
    poolId: system.poolId,
    runDirectory: system.runDirectory,
    controlLog: system.logFile('control'),
    poolLog: system.logFile('pool'),
  };
  await makePool(running);
  project.provide('system', running);
  return async () => {
    await system.stopAll();
    if (project.vitest.state.getCountOfFailedTests() > 0) console.log(`The system's data and logs are kept: ${home}`);
    else await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  };
}

async function makePool({ url, operatorKey, poolId }: RunningSystem): Promise<void> {
  const made = await fetch(`${url}/resourcepool`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operatorKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id: poolId, customerId: 'operations', title: 'Parity' }),
  });
  if (made.status !== 201) throw new Error(`The pool was not made: ${made.status} ${await made.text()}`);
}

/** Each row that is said to be whole has one test, and no other row has any. */
async function checkTable(): Promise<void> {
  const tested: string[] = [];
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.test.ts')) continue;
    const source = await readFile(join(folder, file), 'utf8');
    for (const [, name = ''] of source.matchAll(/^\s*test\(\s*['"](.*?)['"],/gm)) tested.push(rowOfTest(name) ?? name);
  }
  const said = rows.filter((row) => row.whole).map((row) => row.number);
  const faults = [
    ...said.filter((row) => !tested.includes(row)).map((row) => `row ${row} has no test`),
    ...tested
      .filter((row, index) => !said.includes(row) || tested.indexOf(row) !== index)
      .map((row) => `a test too many: ${row}`),
  ];
  if (faults.length > 0) throw new Error(`test/parity/rows.ts and the tests differ: ${faults.join('; ')}`);
}

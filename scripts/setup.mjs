// Makes a clone ready to run: dependencies from the lock file, the Temporal CLI and, for tests (`--tests`), the
// time-skipping test server. Does nothing when nothing is to do. Plain Node 20: it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchProgram } from '../machine/fetch-program.mjs';
import { findProgram } from '../machine/programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const forTests = process.argv.includes('--tests');
/** Lint and the like need no servers. */
const dependenciesOnly = process.argv.includes('--dependencies');

try {
  checkNode(false);
  if (installNeeded()) await withLock(install);
  makeRunnable();
  checkNode(true);
  if (!dependenciesOnly) await provide('temporal');
  if (forTests) await provide('temporal-test-server');
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}

function say(text) {
  console.log(`setup: ${text}`);
}

/** Node 20 is enough to set up; what runs afterwards needs 22.19, which npm brings along for Linux. */
function checkNode(installed) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20) throw new Error(`Node ${process.versions.node} is too old; 20 or later is needed to install.`);
  const enough = major > 22 || (major === 22 && minor >= 19);
  if (installed && !enough && !existsSync(join(root, 'node_modules', '.bin', 'node'))) {
    throw new Error(
      `Node ${process.versions.node} is too old to run this project, ` +
        'and npm has no Node for this machine; install Node 24.',
    );
  }
}

/** Whether what npm installed differs from the lock file. Packages for other machines may be missing. */
function installNeeded() {
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return true;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  return Object.entries(wanted).some(([path, entry]) => {
    if (path === '') return false;
    const found = installed[path];
    return found === undefined ? !entry.optional && !entry.peer : found.version !== entry.version;
  });
}

function install() {
  // Whoever held the lock before may have done it.
  if (!installNeeded()) return;
  say('installing dependencies from the lock file (npm ci)');
  const started = Date.now();
  const flags = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm, ...flags]] : ['npm', flags];
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NODE_ENV: '' },
  });
  if (status !== 0)
    throw new Error(`npm ci failed (${error?.message ?? `exit code ${status}`}); its messages are above.`);
  say(`dependencies installed in ${seconds(started)}`);
}

/**
 * ffprobe is packed without permission to run; its install script, which would give it, is not among those that may
 * run.
 */
function makeRunnable() {
  for (const tool of ['ffmpeg', 'ffprobe']) {
    const packages = join(root, 'node_modules', `@${tool}-installer`);
    for (const machine of existsSync(packages) ? readdirSync(packages) : []) {
      const program = join(packages, machine, tool);
      if (existsSync(program) && statSync(program).isFile() && (statSync(program).mode & 0o111) === 0)
        chmodSync(program, 0o755);
    }
  }
}

/** One setup at a time per clone; the lock of a dead process is taken over. */
async function withLock(work) {
  const lock = join(root, '.pop', 'setup.lock');
  mkdirSync(join(root, '.pop'), { recursive: true });
  let told = false;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readIfThere(lock));
    if (holder && !alive(holder)) rmSync(lock, { force: true });
    if (!told) say('waiting for another setup of this clone');
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

async function provide(name) {
  if (findProgram(name).path === undefined) await withLock(() => fetchProgram(name, say));
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

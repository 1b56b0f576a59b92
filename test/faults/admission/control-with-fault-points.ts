/**
 * The control worker of the crash tests: the product's own, with its statements watched, that kills itself at the first
 * point at which none before it has died. Its argument is JSON: `ControlFaults`.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { setClockAhead } from './clock.ts';
import type { Side } from './fault-points.ts';

/** When it begins, and where it dies. */
export interface ControlFaults {
  /** It begins when this file is there. */
  readonly go: string;
  /**
   * File of lines `<side> <name>`: where processes have died already. This one adds its own before it dies. Absent: it
   * lives.
   */
  readonly deaths?: string;
  /**
   * Only at points that this matches, and at so large a part of the others, which ones the seed says; absent: at any.
   */
  readonly some?: { readonly points: string; readonly part: number; readonly seed: number };
  /** Only when a point comes by for the so-manieth time; default 1. */
  readonly occurrence?: number;
  /** Its clock is ahead by so much; below 0: behind. */
  readonly clockAheadSeconds?: number;
}

const faults = JSON.parse(process.argv[2] ?? '') as ControlFaults;
setClockAhead(faults.clockAheadSeconds ?? 0);
// After the clock was set: whatever these read when they are loaded is wrong as well.
const { watchActivities, watchDatabase, watchTemporal } = await import('./fault-points.ts');
const { controlActivities } = await import('../../../activities/control/activities.ts');
const { openDatabase } = await import('../../../db/connect.ts');
const { runControl } = await import('../../../workers/run-control.ts');
const { lazyTemporalClient } = await import('../../../temporal/connect.ts');
const { msToTs } = await import('@temporalio/common/lib/time.js');

while (!existsSync(faults.go)) await delay(5);

const { deaths, some, occurrence = 1 } = faults;
const passed = new Map<string, number>();
/** Points at which it never dies. */
const survived = new Set<string>();

function pass(side: Side, name: string): void {
  const point = `${side} ${name}`;
  const count = (passed.get(point) ?? 0) + 1;
  passed.set(point, count);
  if (deaths === undefined || survived.has(point) || count < occurrence) return;
  // Another one that runs at the same time may have died there meanwhile.
  if (!isChosen(point) || (existsSync(deaths) && readFileSync(deaths, 'utf8').split('\n').includes(point))) {
    survived.add(point);
    return;
  }
  appendFileSync(deaths, `${point}\n`);
  process.kill(process.pid, 'SIGKILL');
}

function isChosen(point: string): boolean {
  if (some === undefined || new RegExp(some.points).test(point)) return true;
  const digest = createHash('sha256').update(`${some.seed} ${point}`).digest();
  return digest.readUInt32BE() < some.part * 2 ** 32;
}

/** What a dead worker had in hand is given to the next one soon. */
const taskSeconds = 3;

await runControl({
  openDatabase: (url, options) => watchDatabase(openDatabase(url, options), pass),
  temporalClient: (settings) =>
    watchTemporal(lazyTemporalClient(settings), pass, [
      {
        startWithDetails: (input, next) =>
          next({ ...input, options: { ...input.options, workflowTaskTimeout: msToTs(taskSeconds * 1000) } }),
      },
    ]),
  activities: (parts) =>
    watchActivities(controlActivities(parts), ['admitBatch', 'startAdmitted', 'startAllAdmitted'], pass),
  workerOptions: { stickyQueueScheduleToStartTimeout: '500 ms' },
});

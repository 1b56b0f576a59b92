/**
 * A handler that bears witness: a line in the file WITNESS when it starts, when it is asked to end, and when it came to
 * its end. Payload: `until` names a file it waits for, `milliseconds` is how long it works, `grandchild` leaves a
 * process beside it, `deaf` makes it go on after SIGTERM. Its result is what it was.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type JsonObject, runHandler } from '../../../handler/index.ts';
import { identify } from '../../../launchers/local/process-identity.ts';
import type { Witnessed } from '../witness-file.ts';

await runHandler(async ({ payload, operation, report, log, signal }) => {
  const { until, milliseconds, grandchild, deaf } = payload as JsonObject;
  const { launch } = JSON.parse(readFileSync(join(dirname(process.env.POP_RESULT_FILE ?? ''), 'run.json'), 'utf8')) as {
    launch: number;
  };
  const self = identify(process.pid) ?? { pid: process.pid, startTime: '' };
  // In the same process group, as a tool that a handler runs.
  const child = grandchild === true ? identify(spawn('sleep', ['600'], { stdio: 'ignore' }).pid ?? 0) : undefined;
  const say = (what: Witnessed['what']): void => {
    const { agendaId, operationName } = operation;
    const line: Witnessed = {
      what,
      agendaId,
      operation: operationName,
      launch,
      self,
      time: Date.now(),
      ...(child && { child }),
    };
    appendFileSync(process.env.WITNESS ?? '', `${JSON.stringify(line)}\n`);
  };
  signal.addEventListener('abort', () => say('asked to end'));
  say('start');
  report({ percentComplete: 50, message: 'at work' });
  log(`launch ${launch} is at work`);
  const heed = deaf === true ? {} : { signal };
  if (typeof milliseconds === 'number') await delay(milliseconds, undefined, heed);
  while (typeof until === 'string' && !existsSync(until)) await delay(25, undefined, heed);
  say('end');
  return { pid: self.pid, launch };
});

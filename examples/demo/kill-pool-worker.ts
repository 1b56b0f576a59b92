/** The hardest moment of the demo: the pool worker dies while it transcodes, and the handler must not notice. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from '../../launchers/local/process-identity.ts';
import { fileNames, type ProcessIdentity, type StartedRecord } from '../../launchers/local/run-files.ts';
import type { RunRecord } from '../../launchers/run-directory/records.ts';
import { readRecord } from '../../launchers/run-directory/regular-file.ts';
import { runDirectories } from '../../launchers/run-directory/run-directories.ts';
import type { System } from '../../machine/system.ts';

/** What was seen; process identities as the system notes them. */
export interface Kill {
  readonly agendaId: string;
  readonly operation: string;
  readonly killedPoolWorker: number;
  readonly newPoolWorker: number;
  readonly handler: ProcessIdentity;
  /** The handler's process when the new pool worker was ready: the same one, or undefined when it had ended already. */
  readonly handlerAfter: ProcessIdentity | undefined;
}

/** Waits until an Operation of this name reports progress, kills the pool worker with SIGKILL, and starts another. */
export async function killPoolWorker(
  system: System,
  operation: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Kill> {
  const { run, directory, started } = await underWay(system, operation, signal);
  const killedPoolWorker = system.pid('pool');
  if (killedPoolWorker === undefined) throw new Error('The pool worker does not run, so it cannot be killed.');
  await system.kill('pool', 'SIGKILL');
  say(
    `Killed the pool worker (process ${killedPoolWorker}) in the middle of "${run.operation}", ` +
      `which runs as process ${started.pid}.`,
  );
  await system.start('pool');
  const newPoolWorker = system.pid('pool');
  if (newPoolWorker === undefined) throw new Error(`The pool worker did not come back; see ${system.logFile('pool')}.`);
  const after = readRecord<StartedRecord>(directory, fileNames.started);
  const handlerAfter =
    after !== undefined && isAlive(after) ? { pid: after.pid, startTime: after.startTime } : undefined;
  say(
    `A new pool worker (process ${newPoolWorker}) is there; ` +
      `process ${started.pid} ${handlerAfter === undefined ? 'has ended' : 'still runs'}.`,
  );
  const handler = { pid: started.pid, startTime: started.startTime };
  return { agendaId: run.agendaId, operation: run.operation, killedPoolWorker, newPoolWorker, handler, handlerAfter };
}

/** Whether the pool worker that reported this Operation's end had adopted it, by its own log. */
export async function wasAdopted(
  system: System,
  { agendaId, operation }: Pick<Kill, 'agendaId' | 'operation'>,
): Promise<boolean> {
  const log = await readFile(system.logFile('pool'), 'utf8');
  return log.split('\n').some((line) => {
    if (!line.includes('"operation ended"')) return false;
    const entry = JSON.parse(line) as { agendaId?: string; operation?: string; adopted?: boolean };
    return entry.agendaId === agendaId && entry.operation === operation && entry.adopted === true;
  });
}

async function underWay(system: System, operation: string, signal: AbortSignal) {
  for (;;) {
    for (const directory of runDirectories(system.runDirectory)) {
      const run = readRecord<RunRecord>(directory, fileNames.run);
      const started = readRecord<StartedRecord>(directory, fileNames.started);
      const progress = readRecord<{ percentComplete?: number }>(directory, fileNames.progress);
      if (
        run?.operation === operation &&
        started !== undefined &&
        isAlive(started) &&
        (progress?.percentComplete ?? 0) > 0
      )
        return { run, started, directory };
    }
    signal.throwIfAborted();
    await delay(50);
  }
}

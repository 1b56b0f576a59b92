/** A tool as a process beside the handler. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fail } from '../handler-failure.ts';
import { factsOf, nameOf, type ToolExit, type ToolRun, toolDefaults } from './external-tool.ts';
import { linesOf } from './lines.ts';

/** How long the last lines of one that was stopped are waited for. */
const lastLinesMilliseconds = 2_000;

/**
 * Runs it to its end. It stays in the handler's process group, so that whoever kills that kills it too.
 */
export async function runProcess({ tool, signal, line, started }: ToolRun): Promise<ToolExit> {
  const [program, ...rest] = [...(tool.command ?? []), ...(tool.args ?? [])];
  if (program === undefined) {
    fail(
      `${nameOf(tool)} has no command, and is to run as a process: -externalLaunchType or POP_EXTERNAL_LAUNCH says so.`,
      {
        code: 'externalFailed',
      },
    );
  }
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(tool.env !== undefined && { env: { ...process.env, ...tool.env } }),
    ...(tool.workingDirectory !== undefined && { cwd: tool.workingDirectory }),
  });
  const gone = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const stop = (): void => void child.kill('SIGTERM');
  const grace = (tool.graceSeconds ?? toolDefaults.graceSeconds) * 1_000;
  let kill: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    stop();
    kill = setTimeout(() => child.kill('SIGKILL'), grace);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const read = [child.stdout, child.stderr].map((stream) => follow(stream, line));
  started();
  try {
    const [exitCode, killedBy] = await gone.catch((error: Error) =>
      fail(`${program} could not be run: ${error.message}`, {
        code: 'externalFailed',
        cause: error,
        payload: factsOf(tool),
      }),
    );
    const followed = Promise.all(read);
    if (signal.aborted) {
      // What it left running may hold its output open.
      await Promise.race([followed, delay(lastLinesMilliseconds, undefined, { ref: false })]);
      throw signal.reason;
    }
    await followed;
    return { exitCode, reason: killedBy ?? undefined };
  } finally {
    clearTimeout(kill);
    signal.removeEventListener('abort', onAbort);
  }
}

async function follow(stream: Readable, line: (line: string) => void): Promise<void> {
  const lines = linesOf(line);
  for await (const chunk of stream) lines.write(chunk as Buffer);
  lines.end();
}

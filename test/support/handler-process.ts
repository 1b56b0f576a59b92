/** Handlers of the SDK in real processes of their own, for tests. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const sdk = JSON.stringify(new URL('../../handler/index.ts', import.meta.url).href);

/** How a handler's process ended, and what it left. */
export interface EndedHandler {
  readonly exitCode: number | null;
  readonly output: string;
  /** Content of its result file; undefined when it wrote none. */
  readonly result: string | undefined;
}

/** A handler that runs. */
export interface RunningHandler {
  readonly pid: number;
  /** Its own; gone when it has ended. */
  readonly folder: string;
  readonly output: () => string;
  readonly ended: Promise<EndedHandler>;
}

/** Starts a handler: `source` is the argument of `runHandler`. It has a result file, and nothing else to report by. */
export function startHandler(
  source: string,
  environment: Readonly<Record<string, string>> = {},
  parameters: readonly string[] = [],
): RunningHandler {
  const folder = mkdtempSync(join(tmpdir(), 'pop-handler-'));
  const program = join(folder, 'handler.ts');
  const resultFile = join(folder, 'result');
  writeFileSync(program, `import { runHandler, fail } from ${sdk};\nawait runHandler(${source});`);
  // As the kubelet makes the file of a termination message.
  writeFileSync(resultFile, '');
  const child = spawn(process.execPath, [program, ...parameters], {
    env: { PATH: process.env.PATH, POP_RESULT_FILE: resultFile, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const ended = once(child, 'close').then(([exitCode]) => {
    const result = existsSync(resultFile) ? readFileSync(resultFile, 'utf8') : '';
    rmSync(folder, { recursive: true, force: true });
    return { exitCode: exitCode as number | null, output, result: result === '' ? undefined : result };
  });
  return { pid: child.pid as number, folder, output: () => output, ended };
}

/**
 * One of our programs as a process of its own, whose log a test reads: `await using control =
 * startProgram('workers/control.ts', …)`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const patience = { timeout: 60_000, interval: 50 };

/** A process under test; killed on dispose. */
export interface Program extends AsyncDisposable {
  readonly process: ChildProcess;
  /** What it wrote, line by line; JSON lines are parsed. */
  readonly lines: readonly (Record<string, unknown> | string)[];
  /** Its exit code. */
  readonly exited: Promise<number | null>;
  /** Resolves with the message of its log that matches, once it is there. */
  says(message: string | RegExp): Promise<string>;
}

/** Starts a program with these settings and no others. */
export function startProgram(file: string, settings: Readonly<Record<string, string>>, args: string[] = []): Program {
  const child = spawn(process.execPath, [join(root, file), ...args], {
    env: { PATH: process.env.PATH, LOG_LEVEL: 'info', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: (Record<string, unknown> | string)[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => lines.push(parsed(line)));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const messages = () => lines.map((line) => (typeof line === 'string' ? line : String(line.message)));
  return {
    process: child,
    lines,
    exited,
    says: (wanted) =>
      vi.waitFor(() => {
        const found = messages().find((message) =>
          typeof wanted === 'string' ? message.includes(wanted) : wanted.test(message),
        );
        if (found === undefined) throw new Error(`${file} has not said ${wanted} but:\n${messages().join('\n')}`);
        return found;
      }, patience),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function parsed(line: string): Record<string, unknown> | string {
  return line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : line;
}

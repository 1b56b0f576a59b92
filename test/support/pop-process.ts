/** The command `pop` as a process, in a folder of its own. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../cli/pop.ts', import.meta.url));

/** What a call came to. */
export interface PopEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a call is made. */
export interface PopCall {
  readonly input?: string;
  /** Hears all of stderr so far, and may send signals. */
  readonly watch?: (stderr: string, kill: (signal: NodeJS.Signals) => void) => void;
  readonly folder?: string;
}

/** A folder in which `pop` is called; it goes with its scope. */
export class PopFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'pop-folder-'));

  /** Writes a file; what is no text becomes JSON. Returns its path. */
  write(path: string, content: unknown): string {
    const file = join(this.path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  }

  /** Calls `pop` and waits for its end. */
  async pop(args: readonly string[], { input, watch, folder = this.path }: PopCall = {}): Promise<PopEnd> {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      env: { ...process.env, TMPDIR: this.runs },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      watch?.(stderr, (signal) => child.kill(signal));
    });
    child.stdin.end(input ?? '');
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, stdout, stderr };
  }

  /** Where what is called keeps temporary things. */
  get runs(): string {
    const folder = join(this.path, 'temporary');
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

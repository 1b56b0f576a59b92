import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgendaProgress } from '../../examples/demo/client.ts';
import type { Kill } from '../../examples/demo/kill-pool-worker.ts';
import type { MediaInfo } from '../../examples/media/ffmpeg.ts';

const run = promisify(execFile);
const demo = fileURLToPath(new URL('../../examples/demo.ts', import.meta.url));
const ffprobe = (createRequire(import.meta.url)('@ffprobe-installer/ffprobe') as { path: string }).path;

interface Summary {
  readonly seconds: number;
  readonly home: string;
  readonly agendas: readonly { customer: string; title: string; progress: AgendaProgress }[];
  readonly kill?: Kill & { readonly adopted: boolean };
}

interface Probed {
  readonly width: number;
  readonly height: number;
  readonly seconds: number;
}

describe.each([
  { form: 'the demo', options: [] as string[] },
  { form: 'the demo whose pool worker is killed', options: ['--kill-pool-worker'] },
])('$form', { timeout: 420_000 }, ({ options }) => {
  let home: string;
  let exitCode: number | null;
  let output = '';
  let summary: Summary;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'pop-demo-'));
    const child = spawn(process.execPath, [demo, '--json', ...options], {
      env: { ...process.env, POP_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    [exitCode, output] = [code as number | null, stderr];
    if (exitCode === 0) summary = JSON.parse(stdout) as Summary;
  }, 400_000);
  afterAll(() => rm(home, { recursive: true, force: true }));

  test('exits 0 with all Agendas of both customers succeeded', () => {
    expect(exitCode, output).toBe(0);
    expect(new Set(summary.agendas.map(({ customer }) => customer)).size).toBe(2);
    expect(summary.agendas.length).toBeGreaterThanOrEqual(2);
    for (const { progress } of summary.agendas) {
      expect(progress).toMatchObject({
        processingState: 'COMPLETE',
        processingStateMessage: 'succeeded',
        percentComplete: 100,
      });
    }
  });

  test('launches no Operation twice', () => {
    for (const { progress } of summary.agendas) {
      expect(progress.operationProgress).toHaveLength(7);
      for (const each of progress.operationProgress) {
        expect(each).toMatchObject({ processingStateMessage: 'succeeded', attemptCount: 1, launch: 1 });
      }
    }
  });

  test('makes renditions of the sizes and the length that follow from the probed source', async () => {
    for (const { progress } of summary.agendas) {
      const source = resultOf<MediaInfo>(progress, 'probe');
      expect(await probed(source.file)).toEqual({
        width: source.width,
        height: source.height,
        seconds: expect.closeTo(source.durationSeconds, 1),
      });
      for (const [name, scale] of [
        ['large', 1],
        ['medium', 0.5],
        ['small', 0.25],
      ] as const) {
        const { width, height, seconds } = await probed(resultOf<{ file: string }>(progress, name).file);
        expect([width, height], name).toEqual([even(source.width * scale), even(source.height * scale)]);
        expect(Math.abs(seconds - source.durationSeconds), name).toBeLessThan(0.2);
      }
    }
  });

  test('makes a thumbnail and a filmstrip of the sizes they report', async () => {
    for (const { progress } of summary.agendas) {
      for (const name of ['thumbnail', 'filmstrip']) {
        const { file, width, height } = resultOf<{ file: string; width: number; height: number }>(progress, name);
        expect(await probed(file)).toMatchObject({ width, height });
      }
    }
  });

  test('packages every rendition: the manifest names its playlist, and each playlist its segments', async () => {
    for (const { progress } of summary.agendas) {
      const source = resultOf<MediaInfo>(progress, 'probe');
      const { manifest } = resultOf<{ manifest: string }>(progress, 'package');
      const playlists = entriesOf(await readFile(manifest, 'utf8'));
      expect(playlists).toEqual(['large/index.m3u8', 'medium/index.m3u8', 'small/index.m3u8']);
      for (const playlist of playlists.map((entry) => join(dirname(manifest), entry))) {
        const segments = entriesOf(await readFile(playlist, 'utf8'));
        expect(segments.length).toBeGreaterThanOrEqual(Math.floor(source.durationSeconds / 2));
        for (const segment of segments) expect(existsSync(join(dirname(playlist), segment)), segment).toBe(true);
        expect(Math.abs((await probed(playlist)).seconds - source.durationSeconds)).toBeLessThan(0.2);
      }
    }
  });

  test('goes on with the same handler process when the pool worker is killed', () => {
    const { kill } = summary;
    if (options.length === 0) return expect(kill).toBeUndefined();
    expect(kill).toMatchObject({ operation: 'large', adopted: true });
    expect(kill?.newPoolWorker).not.toBe(kill?.killedPoolWorker);
    expect(kill?.handlerAfter).toEqual(kill?.handler);
  });

  test('leaves no process behind', async () => {
    // Everything that the demo starts has its home in its command line or environment.
    await expect.poll(() => processesOf(home), { timeout: 10_000 }).toEqual([]);
  });
});

test('the demo whose Agendas fail exits 1 and says why', { timeout: 120_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'pop-demo-'));
  try {
    const environment = { ...process.env, POP_HOME: home };
    const failed = (await run(process.execPath, [demo, '--video', demo], { env: environment, timeout: 110_000 }).catch(
      (error: unknown) => error,
    )) as {
      code?: number;
      stderr?: string;
    };
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^The demo failed: Acme Studios, trailer failed\..*probe: ffprobe ended with exit code 1/s,
      ),
    });
    await expect.poll(() => processesOf(home), { timeout: 10_000 }).toEqual([]);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

function resultOf<Value>(progress: AgendaProgress, operation: string): Value {
  const found = progress.operationProgress.find((each) => each.operation === operation);
  return JSON.parse(found?.resultPayload ?? 'null') as Value;
}

async function probed(file: string): Promise<Probed> {
  const { stdout } = await run(ffprobe, [
    '-v',
    'error',
    '-print_format',
    'json',
    '-show_format',
    '-show_streams',
    file,
  ]);
  const answer = JSON.parse(stdout) as {
    streams: { codec_type: string; width: number; height: number }[];
    format: { duration?: string };
  };
  const video = answer.streams.find((stream) => stream.codec_type === 'video');
  return { width: video?.width ?? 0, height: video?.height ?? 0, seconds: Number(answer.format.duration ?? 0) };
}

function even(value: number): number {
  return 2 * Math.round(value / 2);
}

/** What an HLS playlist names. */
function entriesOf(playlist: string): string[] {
  return playlist.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** Command lines of all processes that know this directory. */
function processesOf(directory: string): string[] {
  if (!existsSync('/proc/self/environ')) {
    const lines = execFileSync('ps', ['-A', '-E', '-o', 'command='], { encoding: 'utf8' }).split('\n');
    return lines.filter((line) => line.includes(directory));
  }
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return `${command}\n${readFileSync(`/proc/${pid}/environ`, 'utf8')}`.includes(directory)
        ? [`${pid} ${command.replaceAll('\0', ' ')}`]
        : [];
    } catch (error) {
      // It ended while it was looked at, or is somebody else's.
      if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
      throw error;
    }
  });
}

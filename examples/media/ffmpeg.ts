/** Runs ffmpeg and ffprobe for the handlers beside it. `FFMPEG_PATH` and `FFPROBE_PATH` name other binaries than the installed ones. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fail } from '../../handler/index.ts';

const require = createRequire(import.meta.url);
const installed = (name: string): string => (require(name) as { path: string }).path;

export interface MediaInfo {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly durationSeconds: number;
  /** Frames per second. */
  readonly frameRate: number;
  readonly videoCodec: string;
  /** null when there is no sound. */
  readonly audioCodec: string | null;
  /** Bits per second, of everything together. */
  readonly bitrate: number;
  readonly sizeBytes: number;
  readonly container: string;
}

interface ProbeAnswer {
  readonly streams?: readonly {
    codec_type?: string;
    codec_name?: string;
    width?: number;
    height?: number;
    avg_frame_rate?: string;
    r_frame_rate?: string;
    duration?: string;
  }[];
  readonly format?: { duration?: string; bit_rate?: string; size?: string; format_name?: string };
}

/** What ffprobe says of a file. Fails the Operation when it is not a video or picture. */
export async function probe(file: string, signal?: AbortSignal): Promise<MediaInfo> {
  const answer = JSON.parse(
    await run('ffprobe', ['-v', 'error', '-print_format', 'json', '-show_format', '-show_streams', file], { signal }),
  ) as ProbeAnswer;
  const video = answer.streams?.find((stream) => stream.codec_type === 'video');
  const audio = answer.streams?.find((stream) => stream.codec_type === 'audio');
  if (video?.width === undefined || video.height === undefined) fail(`${file} has no picture.`, { code: 'noVideo' });
  const format = answer.format ?? {};
  return {
    file,
    width: video.width,
    height: video.height,
    durationSeconds: Number(format.duration ?? video.duration ?? 0),
    frameRate: quotient(video.avg_frame_rate) || quotient(video.r_frame_rate),
    videoCodec: video.codec_name ?? 'unknown',
    audioCodec: audio?.codec_name ?? null,
    bitrate: Number(format.bit_rate ?? 0),
    sizeBytes: Number(format.size ?? 0),
    container: format.format_name ?? 'unknown',
  };
}

export interface EncodeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of the output; with it `percent` hears how far the encoder is. */
  readonly durationSeconds?: number | undefined;
  readonly percent?: ((percent: number) => void) | undefined;
}

/** Runs ffmpeg; its complaints go to the log, and to the diagnostics when it fails. */
export async function encode(parameters: readonly string[], options: EncodeOptions = {}): Promise<void> {
  const { durationSeconds, percent, signal } = options;
  await run('ffmpeg', ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'error', '-y', '-progress', 'pipe:1', ...parameters], {
    signal,
    line: (line) => {
      const [, hours, minutes, seconds] = /^out_time=(\d+):(\d+):([\d.]+)/.exec(line) ?? [];
      if (seconds === undefined || !durationSeconds) return;
      const done = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
      percent?.(Math.min(100, (100 * done) / durationSeconds));
    },
  });
}

/** Lets `make` write a file that appears under its name only when it is whole, so that a rerun, or a kill, leaves no half of it. */
export async function writeWhole(target: string, make: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  // The same end of the name, which tells ffmpeg the format.
  const temporary = join(dirname(target), `.${process.pid}-${basename(target)}`);
  try {
    await make(temporary);
    await rename(temporary, target);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly line?: (line: string) => void;
}

async function run(tool: 'ffmpeg' | 'ffprobe', parameters: readonly string[], { signal, line }: RunOptions): Promise<string> {
  const path = process.env[`${tool.toUpperCase()}_PATH`] ?? installed(`@${tool}-installer/${tool}`);
  const child = spawn(path, parameters, { stdio: ['ignore', 'pipe', 'pipe'], ...(signal !== undefined && { signal }) });
  let output = '';
  const complaints: string[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    if (line === undefined) output += `${text}\n`;
    else line(text);
  });
  createInterface({ input: child.stderr }).on('line', (text) => {
    console.error(text);
    complaints.push(text);
    if (complaints.length > 10) complaints.shift();
  });
  const [exitCode, killedBy] = (await once(child, 'close')) as [number | null, string | null];
  if (exitCode === 0) return output;
  fail(
    `${tool} ${killedBy === null ? `ended with exit code ${exitCode}` : `was killed by ${killedBy}`}: ${complaints.at(-1) ?? 'it said nothing'}`,
    {
      code: `${tool}Failed`,
      payload: { parameters: [...parameters], lastLines: complaints },
    },
  );
}

/** `30000/1001` */
function quotient(text: string | undefined): number {
  const [numerator = 0, denominator = 1] = (text ?? '').split('/').map(Number);
  return denominator === 0 ? 0 : Math.round((numerator / denominator) * 1_000) / 1_000;
}

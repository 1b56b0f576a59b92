/**
 * Runs ffmpeg and ffprobe for the handlers beside it. `FFMPEG_PATH` and `FFPROBE_PATH` name other binaries than the
 * installed ones. What a payload names reaches them as an open file below the registry's roots, with an absolute path
 * of ours: it is no option and no protocol, and its ending chooses nothing.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fail, openOwnSource, type Target } from '../../handler/index.ts';
import { type Input, readableFormats } from './readable.ts';

const require = createRequire(import.meta.url);
const installed = (name: string): string => (require(name) as { path: string }).path;

/** A word of a command line; a path of ours has a name for people, which stands for it in messages. */
export type Word = string | { readonly path: string; readonly asked: string };

/** What ffprobe says of a file. */
export interface MediaInfo {
  /** As the payload names it. */
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

/**
 * The words that make ffmpeg or ffprobe read this input: that one file or URL, and nothing that its content refers to.
 */
export function inputOf(input: Input): Word[] {
  return ['-protocol_whitelist', input.protocols, '-format_whitelist', readableFormats(process.env), '-i', input];
}

/** What ffprobe says of an input. Fails the Operation when it is not a video or picture. */
export async function probe(input: Input, signal?: AbortSignal): Promise<MediaInfo> {
  const answer = JSON.parse(
    await run('ffprobe', ['-v', 'error', '-print_format', 'json', '-show_format', '-show_streams', ...inputOf(input)], {
      signal,
    }),
  ) as ProbeAnswer;
  const video = answer.streams?.find((stream) => stream.codec_type === 'video');
  const audio = answer.streams?.find((stream) => stream.codec_type === 'audio');
  if (video?.width === undefined || video.height === undefined)
    fail(`${input.asked} has no picture.`, { code: 'noVideo' });
  const format = answer.format ?? {};
  return {
    file: input.asked,
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

/** As `probe`, of a file that no payload names, such as one that was just written. */
export async function probeFile(path: string, asked: string, signal?: AbortSignal): Promise<MediaInfo> {
  const file = openOwnSource(path, asked);
  try {
    return await probe({ asked, path: file.path, protocols: 'file' }, signal);
  } finally {
    file[Symbol.dispose]();
  }
}

/** How an encoding is watched and stopped. */
export interface EncodeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of the output; with it `percent` hears how far the encoder is. */
  readonly durationSeconds?: number | undefined;
  readonly percent?: ((percent: number) => void) | undefined;
}

/** Runs ffmpeg; its complaints go to the log, and to the diagnostics when it fails. */
export async function encode(parameters: readonly Word[], options: EncodeOptions = {}): Promise<void> {
  const { durationSeconds, percent, signal } = options;
  await run(
    'ffmpeg',
    ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'error', '-y', '-progress', 'pipe:1', ...parameters],
    {
      signal,
      line: (line) => {
        const [, hours, minutes, seconds] = /^out_time=(\d+):(\d+):([\d.]+)/.exec(line) ?? [];
        if (seconds === undefined || !durationSeconds) return;
        const done = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
        percent?.(Math.min(100, (100 * done) / durationSeconds));
      },
    },
  );
}

/**
 * Lets `make` write a file that appears under its name only when it is whole, so that a rerun, or a kill, leaves no
 * half of it.
 */
export async function writeWhole(
  { folder, name, asked }: Target,
  make: (temporary: Word) => Promise<void>,
): Promise<string> {
  // The same ending, which tells ffmpeg what kind of picture; the rest is not the payload's, for a `%` in it would be a
  // pattern.
  const temporary = join(folder, `.pop-${randomUUID()}${extname(name)}`);
  const path = join(folder, name);
  try {
    await make({ path: temporary, asked });
    await rename(temporary, path).catch((cause: NodeJS.ErrnoException) =>
      fail(`${asked} cannot be written${cause.code === 'EISDIR' ? ': it is a folder' : ` (${cause.code})`}.`, {
        code: 'notWritten',
        cause,
      }),
    );
    return path;
  } finally {
    await rm(temporary, { force: true });
  }
}

interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly line?: (line: string) => void;
}

async function run(tool: 'ffmpeg' | 'ffprobe', words: readonly Word[], { signal, line }: RunOptions): Promise<string> {
  const program = process.env[`${tool.toUpperCase()}_PATH`] ?? installed(`@${tool}-installer/${tool}`);
  const parameters = words.map((word) => (typeof word === 'string' ? word : word.path));
  const child = spawn(program, parameters, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal !== undefined && { signal }),
  });
  let output = '';
  const complaints: string[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    if (line === undefined) output += `${text}\n`;
    else line(text);
  });
  createInterface({ input: child.stderr }).on('line', (said) => {
    const text = words.reduce<string>(
      (so, word) => (typeof word === 'string' ? so : so.replaceAll(word.path, word.asked)),
      said,
    );
    console.error(text);
    complaints.push(text);
    if (complaints.length > 10) complaints.shift();
  });
  const [exitCode, killedBy] = (await once(child, 'close')) as [number | null, string | null];
  if (exitCode === 0) return output;
  if (complaints.some((text) => text.includes('Format not on whitelist'))) {
    const asked = words.flatMap((word) => (typeof word === 'string' ? [] : word.asked)).at(0);
    fail(`${asked} has a format that this pool does not read; playlists and other lists of files are never read.`, {
      code: 'formatNotAllowed',
      payload: { lastLines: complaints },
    });
  }
  const end = killedBy === null ? `ended with exit code ${exitCode}` : `was killed by ${killedBy}`;
  fail(`${tool} ${end}: ${complaints.at(-1) ?? 'it said nothing'}`, {
    code: `${tool}Failed`,
    payload: {
      parameters: words.map((word) => (typeof word === 'string' ? word : word.asked)),
      lastLines: complaints,
    },
  });
}

/** `30000/1001` */
function quotient(text: string | undefined): number {
  const [numerator = 0, denominator = 1] = (text ?? '').split('/').map(Number);
  return denominator === 0 ? 0 : Math.round((numerator / denominator) * 1_000) / 1_000;
}

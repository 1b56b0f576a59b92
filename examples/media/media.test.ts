/** Each media handler under the Local launcher with the example's registry, its result looked at by ffprobe. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../../agenda/types.ts';
import { MediaScratch, type Performed } from '../../test/support/media-scratch.ts';
import { never, recorded } from '../../test/support/scratch.ts';
import { mediaAgenda } from './agenda.ts';
import { makeClip } from './make-clip.ts';

const require = createRequire(import.meta.url);
const ffprobe = (require('@ffprobe-installer/ffprobe') as { path: string }).path;
const ffmpeg = (require('@ffmpeg-installer/ffmpeg') as { path: string }).path;
let scratch: MediaScratch;
let source: string;
const at = (name: string): string => scratch.at(name);
const perform = async (type: string, payload: Json): Promise<Performed> => await scratch.perform(type, payload);

interface Probed {
  readonly streams: readonly { codec_type: string; codec_name: string; width?: number; height?: number }[];
  readonly format: { duration: string };
}

function probed(file: string): Probed {
  return JSON.parse(
    execFileSync(ffprobe, ['-v', 'error', '-print_format', 'json', '-show_format', '-show_streams', file], {
      encoding: 'utf8',
    }),
  ) as Probed;
}

beforeAll(async () => {
  scratch = await MediaScratch.make(5);
  source = scratch.source;
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe('the handlers', { timeout: 60_000 }, () => {
  test('mediaInfo tells what ffprobe tells', async () => {
    const { result } = await perform('mediaInfo', { source });
    expect(result).toMatchObject({ width: 640, height: 360, frameRate: 25, videoCodec: 'h264', audioCodec: 'aac' });
    expect(result.durationSeconds).toBeCloseTo(5, 0);
  });

  test('transcode scales by fractions to even sizes and reports a real percentage', async () => {
    const target = at('scaled.mp4');
    const { ending, result, percents } = await perform('transcode', {
      source,
      target,
      sourceWidth: 640,
      sourceHeight: 360,
      scale: 0.33,
      bitrate: 200_000,
      durationSeconds: 5,
    });
    expect(ending).toMatchObject({ kind: 'succeeded' });
    expect(result).toMatchObject({ file: target, width: 212, height: 118, videoCodec: 'h264' });
    expect(probed(target).streams.find((stream) => stream.codec_type === 'video')).toMatchObject({
      width: 212,
      height: 118,
      codec_name: 'h264',
    });
    expect(Number(probed(target).format.duration)).toBeCloseTo(5, 0);
    expect(percents.at(-1)).toBe(100);
    expect(percents).toEqual([...percents].sort((one, other) => one - other));
  });

  test('transcode keeps the shape when one side is given, and a rerun over its own result is harmless', async () => {
    const target = at('wide.mp4');
    for (let round = 0; round < 2; round += 1) {
      const { result } = await perform('transcode', { source, target, width: 320, bitrate: 300_000 });
      expect(result).toMatchObject({ width: 320, height: 180 });
    }
    expect(readdirSync(dirname(target)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('a long transcode reports percentages on its way, and leaves nothing behind when it is stopped', async () => {
    const long = join(scratch.media, 'long.mp4');
    await makeClip({ target: long, seconds: 40 });
    const target = at('stopped.mp4');
    const run = scratch.run('transcode', { source: long, target, width: 1920, bitrate: 8_000_000 });
    const events = recorded();
    await scratch.launcher.start(run);
    const ending = scratch.launcher.follow(run, events, never());
    await expect
      .poll(() => events.progresses.filter(({ percentComplete = 0 }) => percentComplete > 0).length, {
        timeout: 30_000,
      })
      .toBeGreaterThanOrEqual(2);
    await scratch.launcher.stop(run.key, 10);
    const { kind, progress } = await ending;
    expect(kind).toBe('cancelled');
    expect(progress?.percentComplete).toBeLessThan(100);
    expect(existsSync(target)).toBe(false);
    expect(readdirSync(dirname(target)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('thumbnail and filmstrip are pictures of the asked size', async () => {
    const thumbnail = await perform('thumbnail', { source, target: at('thumbnail.jpg'), atSeconds: 999, width: 200 });
    expect(thumbnail.result).toMatchObject({ width: 200, height: 112 });
    expect(probed(at('thumbnail.jpg')).streams[0]).toMatchObject({ codec_name: 'mjpeg', width: 200, height: 112 });
    const filmstrip = await perform('filmstrip', {
      source,
      target: at('filmstrip.jpg'),
      frames: 6,
      columns: 3,
      width: 100,
    });
    expect(filmstrip.result).toMatchObject({ width: 300, rows: 2, columns: 3, frames: 6 });
    expect(probed(at('filmstrip.jpg')).streams[0]).toMatchObject({ width: 300 });
  });

  test('what is not a video fails with ffprobe’s own words', async () => {
    const text = join(scratch.media, 'text.mp4');
    copyFileSync(fileURLToPath(import.meta.url), text);
    const { ending } = await perform('mediaInfo', { source: text });
    expect(ending).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [
        {
          code: 'ffprobeFailed',
          message: `ffprobe ended with exit code 1: ${text}: Invalid data found when processing input`,
        },
        { code: 'exitCode' },
      ],
    });
    const missing = await perform('transcode', { source });
    expect(missing.ending).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [{ code: 'invalidPayload', message: expect.stringContaining('"target"') }, {}],
    });
  });
});

test('the whole Agenda, its references filled in by hand, ends in a manifest that names all renditions', {
  timeout: 90_000,
}, async () => {
  const agenda = mediaAgenda({ customerId: 'c', source, folder: at('agenda') });
  const results: Record<string, Record<string, unknown>> = {};
  const filled = (value: Json): Json =>
    JSON.parse(JSON.stringify(value), (_key, each: unknown) => {
      const [, name, field] = (typeof each === 'string' && /^@<(\w+)\.out::\/(\w+)>$/.exec(each)) || [];
      return name === undefined || field === undefined ? each : results[name]?.[field];
    }) as Json;
  for (const operation of agenda.operations) {
    const { ending, result } = await perform(operation.type, filled(operation.payload ?? null));
    expect(ending, operation.name).toMatchObject({ kind: 'succeeded' });
    results[operation.name] = result;
  }
  const master = readFileSync(at('agenda/hls/master.m3u8'), 'utf8');
  for (const [name, resolution] of [
    ['large', '640x360'],
    ['medium', '320x180'],
    ['small', '160x90'],
  ]) {
    expect(master).toMatch(
      new RegExp(`BANDWIDTH=\\d+,AVERAGE-BANDWIDTH=\\d+,RESOLUTION=${resolution},.*\\n${name}/index\\.m3u8`),
    );
    expect(Number(probed(at(`agenda/hls/${name}/index.m3u8`)).format.duration)).toBeCloseTo(5, 0);
    expect(readdirSync(at(`agenda/hls/${name}`)).filter((file) => file.endsWith('.m4s')).length).toBeGreaterThanOrEqual(
      3,
    );
  }
  execFileSync(ffmpeg, ['-v', 'error', '-i', at('agenda/hls/master.m3u8'), '-f', 'null', '-']);
  expect(results.package).toMatchObject({
    manifest: at('agenda/hls/master.m3u8'),
    renditions: [{ name: 'large' }, { name: 'medium' }, { name: 'small' }],
  });
  const again = agenda.operations.at(-1);
  expect((await perform('package', filled(again?.payload ?? null))).ending).toMatchObject({ kind: 'succeeded' });
  expect(readdirSync(at('agenda')).sort()).toEqual([
    'filmstrip.jpg',
    'hls',
    'large.mp4',
    'medium.mp4',
    'small.mp4',
    'thumbnail.jpg',
  ]);
});

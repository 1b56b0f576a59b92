/**
 * `package`: `{ folder, renditions: [{ file, name? }] }` → HLS: fragmented MP4 segments of every rendition, not encoded again, and a `master.m3u8` that
 * names them all. The folder is swapped in as a whole.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { fail, type Json, runHandler } from '../../handler/index.ts';
import { encode, type MediaInfo, probe } from './ffmpeg.ts';
import { fieldsOf, textField } from './input.ts';

interface Rendition {
  readonly name: string;
  readonly info: MediaInfo;
}

await runHandler(async ({ payload, report, log, signal }) => {
  const fields = fieldsOf(payload);
  const folder = textField(fields, 'folder');
  const renditions = await readRenditions(fields.renditions, signal);
  const temporary = join(dirname(folder), `.${process.pid}-${basename(folder)}`);
  await rm(temporary, { recursive: true, force: true });
  try {
    const entries: string[] = [];
    for (const [index, { name, info }] of renditions.entries()) {
      const own = join(temporary, name);
      await mkdir(own, { recursive: true });
      log(`Cutting ${info.file}`);
      const cut = ['-c', 'copy', '-f', 'hls', '-hls_time', '2', '-hls_playlist_type', 'vod', '-hls_segment_type', 'fmp4'];
      const names = ['-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', join(own, 'segment-%04d.m4s')];
      await encode(['-i', info.file, ...cut, ...names, join(own, 'index.m3u8')], { signal });
      const bandwidth = await peakBitrate(own);
      entries.push(
        `#EXT-X-STREAM-INF:BANDWIDTH=${bandwidth},AVERAGE-BANDWIDTH=${info.bitrate},RESOLUTION=${info.width}x${info.height},FRAME-RATE=${info.frameRate.toFixed(3)}\n${name}/index.m3u8`,
      );
      report({ message: 'Packaging', percentComplete: (100 * (index + 1)) / renditions.length });
    }
    await writeFile(join(temporary, 'master.m3u8'), `#EXTM3U\n#EXT-X-VERSION:7\n${entries.join('\n')}\n`);
    await swapIn(temporary, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return {
    manifest: join(folder, 'master.m3u8'),
    renditions: renditions.map(({ name, info }) => ({
      name,
      width: info.width,
      height: info.height,
      playlist: join(folder, name, 'index.m3u8'),
    })),
  };
});

async function readRenditions(value: Json | undefined, signal: AbortSignal): Promise<Rendition[]> {
  if (!Array.isArray(value) || value.length === 0) fail('"renditions" must be a list with at least one.', { code: 'invalidPayload' });
  const renditions = await Promise.all(
    value.map(async (each) => {
      const fields = fieldsOf(each);
      const file = textField(fields, 'file');
      const name = typeof fields.name === 'string' ? fields.name : basename(file, extname(file));
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) fail(`"${name}" cannot be the name of a rendition.`, { code: 'invalidPayload' });
      return { name, info: await probe(file, signal) };
    }),
  );
  if (new Set(renditions.map(({ name }) => name)).size < renditions.length)
    fail('Two renditions have the same name.', { code: 'invalidPayload' });
  return renditions.sort((one, other) => other.info.bitrate - one.info.bitrate);
}

/** Bits per second of the fattest segment, as the standard wants it. */
async function peakBitrate(folder: string): Promise<number> {
  const playlist = await readFile(join(folder, 'index.m3u8'), 'utf8');
  const segments = [...playlist.matchAll(/#EXTINF:([\d.]+),.*\n(\S+)/g)];
  const bitrates = segments.map(async ([, seconds, file]) => ((await stat(join(folder, file ?? ''))).size * 8) / Number(seconds));
  return Math.ceil(Math.max(...(await Promise.all(bitrates))));
}

async function swapIn(fresh: string, target: string): Promise<void> {
  const old = join(dirname(target), `.${process.pid}-old-${basename(target)}`);
  if (existsSync(target)) await rename(target, old);
  await rename(fresh, target);
  await rm(old, { recursive: true, force: true });
}

/**
 * `package`: `{ folder, renditions: [{ file, name? }] }` → HLS: fragmented MP4 segments of every rendition, not encoded
 * again, and a `master.m3u8` that names them all. The folder is swapped in as a whole, over an earlier package or an
 * empty folder; never over anything else.
 */
import { randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { fail, type Json, runHandler, type Target } from '../../handler/index.ts';
import { encode, inputOf, type MediaInfo, probe } from './ffmpeg.ts';
import { fieldsOf, targetField, textField } from './input.ts';
import { type Input, sourceField } from './readable.ts';

const manifest = 'master.m3u8';

interface Rendition {
  readonly name: string;
  readonly input: Input;
  readonly info: MediaInfo;
}

await runHandler(async ({ payload, report, log, signal }) => {
  const fields = fieldsOf(payload);
  const target = targetField(fields, 'folder');
  await checkReplaceable(target);
  const renditions = await readRenditions(fields.renditions, signal);
  const temporary = join(target.folder, `.pop-${randomUUID()}`);
  try {
    const entries: string[] = [];
    for (const [index, { name, input, info }] of renditions.entries()) {
      const own = join(temporary, name);
      await mkdir(own, { recursive: true });
      const file = (each: string) => ({ path: join(own, each), asked: join(target.asked, name, each) });
      log(`Cutting ${info.file}`);
      const cut = [
        '-c',
        'copy',
        '-f',
        'hls',
        '-hls_time',
        '2',
        '-hls_playlist_type',
        'vod',
        '-hls_segment_type',
        'fmp4',
      ];
      const names = ['-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', file('segment-%04d.m4s')];
      await encode([...inputOf(input), ...cut, ...names, file('index.m3u8')], { signal });
      const bandwidth = await peakBitrate(own);
      const stream = [
        `BANDWIDTH=${bandwidth}`,
        `AVERAGE-BANDWIDTH=${info.bitrate}`,
        `RESOLUTION=${info.width}x${info.height}`,
        `FRAME-RATE=${info.frameRate.toFixed(3)}`,
      ];
      entries.push(`#EXT-X-STREAM-INF:${stream.join(',')}\n${name}/index.m3u8`);
      report({ message: 'Packaging', percentComplete: (100 * (index + 1)) / renditions.length });
    }
    await writeFile(join(temporary, manifest), `#EXTM3U\n#EXT-X-VERSION:7\n${entries.join('\n')}\n`);
    await swapIn(temporary, target);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return {
    manifest: join(target.asked, manifest),
    renditions: renditions.map(({ name, info }) => ({
      name,
      width: info.width,
      height: info.height,
      playlist: join(target.asked, name, 'index.m3u8'),
    })),
  };
});

async function readRenditions(value: Json | undefined, signal: AbortSignal): Promise<Rendition[]> {
  if (!Array.isArray(value) || value.length === 0)
    fail('"renditions" must be a list with at least one.', { code: 'invalidPayload' });
  const renditions = await Promise.all(
    value.map(async (each) => {
      const fields = fieldsOf(each);
      const file = textField(fields, 'file');
      const name = typeof fields.name === 'string' ? fields.name : basename(file, extname(file));
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
        fail(`"${name}" cannot be the name of a rendition.`, { code: 'invalidPayload' });
      const input = sourceField(fields, 'file');
      return { name, input, info: await probe(input, signal) };
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
  const bitrates = segments.map(
    async ([, seconds, file]) => ((await stat(join(folder, file ?? ''))).size * 8) / Number(seconds),
  );
  return Math.ceil(Math.max(...(await Promise.all(bitrates))));
}

/** Fails when there is something in the place of the package that no package made. */
async function checkReplaceable({ folder, name, asked }: Target): Promise<void> {
  const path = join(folder, name);
  const there = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (there === undefined) return;
  const names = there.isDirectory() ? await readdir(path) : undefined;
  if (names !== undefined && (names.length === 0 || names.includes(manifest))) return;
  fail(`"folder" is "${asked.slice(0, 200)}": it is not empty and no package, so it is not replaced.`, {
    code: 'notReplaced',
  });
}

async function swapIn(fresh: string, target: Target): Promise<void> {
  await checkReplaceable(target);
  const path = join(target.folder, target.name);
  const old = `${fresh}-old`;
  await rename(path, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(fresh, path);
  await rm(old, { recursive: true, force: true });
}

/** What an Agenda of the media example left, read back from the files themselves. */
import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { type MediaInfo, probeFile } from '../media/ffmpeg.ts';
import type { AgendaProgress } from './client.ts';

/** The results of one Agenda of the media example. */
export interface Result {
  /** What the Operation `probe` found out about the source. */
  readonly source: MediaInfo;
  readonly renditions: readonly (MediaInfo & { readonly name: string })[];
  readonly pictures: readonly (MediaInfo & { readonly name: string })[];
  readonly manifest: string;
  readonly manifestLines: readonly string[];
}

/** @throws when a file is missing or cannot be probed */
export async function readResult(progress: AgendaProgress, renditions: readonly string[]): Promise<Result> {
  const resultOf = <Value>(name: string): Value => {
    const payload = progress.operationProgress.find(({ operation }) => operation === name)?.resultPayload;
    if (payload === undefined) throw new Error(`"${name}" left no result.`);
    return JSON.parse(payload) as Value;
  };
  const readBack = async (name: string) => {
    const { file } = resultOf<{ file: string }>(name);
    return { name, ...(await probeFile(file, file)) };
  };
  const { manifest } = resultOf<{ manifest: string }>('package');
  return {
    source: resultOf<MediaInfo>('probe'),
    renditions: await Promise.all(renditions.map(readBack)),
    pictures: await Promise.all(['thumbnail', 'filmstrip'].map(readBack)),
    manifest,
    manifestLines: (await readFile(manifest, 'utf8')).trim().split('\n'),
  };
}

/** One Agenda's results for people; paths relative to `folder`. */
export function resultLines(
  { source, renditions, pictures, manifest, manifestLines }: Result,
  folder: string,
): string[] {
  const playlists = manifestLines.filter((line) => !line.startsWith('#'));
  const { durationSeconds, frameRate, videoCodec, audioCodec } = source;
  const codecs = `${videoCodec}, ${audioCodec ?? 'no sound'}`;
  return [
    `  source      ${sizeOf(source)} ${durationSeconds.toFixed(1)} s, ${frameRate} frames/s, ${codecs}`,
    ...renditions.map(
      (info) => `  ${info.name.padEnd(10)}  ${sizeOf(info)} ${info.durationSeconds.toFixed(1)} s, ${bytesOf(info)}`,
    ),
    `  pictures    ${pictures.map((info) => `${info.name} ${sizeOf(info).trimEnd()}`).join(', ')}`,
    `  manifest    ${relative(folder, manifest)}: ${playlists.join(', ')}`,
  ];
}

function sizeOf({ width, height }: MediaInfo): string {
  return `${width}×${height}`.padEnd(9);
}

function bytesOf({ sizeBytes }: MediaInfo): string {
  return `${Math.ceil(sizeBytes / 1024)} KiB`;
}

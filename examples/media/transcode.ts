/**
 * `transcode`: `{ source, target, bitrate, … }` → one rendition, H.264 and AAC in MP4, with a key frame every two
 * seconds. Its size is `width` and `height` (one of them keeps the shape), or `scale` times `sourceWidth` and
 * `sourceHeight`, which an Agenda takes from the result of a mediaInfo by reference. `durationSeconds` of the source
 * saves a look at it.
 */
import { type JsonObject, runHandler } from '../../handler/index.ts';
import { encode, inputOf, probe, probeFile, writeWhole } from './ffmpeg.ts';
import { even, fieldsOf, numberField, targetField } from './input.ts';
import { type Input, sourceField } from './readable.ts';

await runHandler(async ({ payload, report, log, signal }) => {
  const fields = fieldsOf(payload);
  const source = sourceField(fields, 'source');
  const target = targetField(fields, 'target');
  const bitrate = numberField(fields, 'bitrate') ?? 1_000_000;
  const durationSeconds = numberField(fields, 'durationSeconds') ?? (await probe(source, signal)).durationSeconds;
  const { width, height } = await size(fields, source, signal);
  log(`Transcoding ${source.asked} to ${width}x${height} at ${bitrate} bit/s`);
  const written = await writeWhole(target, (file) =>
    encode(
      [
        ...[...inputOf(source), '-map', '0:v:0', '-map', '0:a:0?', '-vf', `scale=${width}:${height},setsar=1`],
        ...[
          '-c:v',
          'libx264',
          '-preset',
          'veryfast',
          '-pix_fmt',
          'yuv420p',
          '-b:v',
          `${bitrate}`,
          '-maxrate',
          `${Math.round(bitrate * 1.5)}`,
          '-bufsize',
          `${bitrate * 2}`,
        ],
        ...[
          '-force_key_frames',
          'expr:gte(t,n_forced*2)',
          '-c:a',
          'aac',
          '-b:a',
          '96k',
          '-movflags',
          '+faststart',
          '-f',
          'mp4',
          file,
        ],
      ],
      { signal, durationSeconds, percent: (percentComplete) => report({ message: 'Transcoding', percentComplete }) },
    ),
  );
  return { ...(await probeFile(written, target.asked, signal)) };
});

/** -2 lets ffmpeg choose the even number that keeps the shape. */
async function size(
  fields: JsonObject,
  source: Input,
  signal: AbortSignal,
): Promise<{ width: number; height: number }> {
  const width = numberField(fields, 'width');
  const height = numberField(fields, 'height');
  if (width !== undefined || height !== undefined)
    return { width: width === undefined ? -2 : even(width), height: height === undefined ? -2 : even(height) };
  const scale = numberField(fields, 'scale') ?? 1;
  const sourceWidth = numberField(fields, 'sourceWidth');
  const sourceHeight = numberField(fields, 'sourceHeight');
  if (sourceWidth !== undefined && sourceHeight !== undefined)
    return { width: even(sourceWidth * scale), height: even(sourceHeight * scale) };
  const info = await probe(source, signal);
  return { width: even(info.width * scale), height: even(info.height * scale) };
}

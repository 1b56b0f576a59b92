/** `mediaInfo`: `{ source }` → width, height, durationSeconds, frameRate, videoCodec and more of a file. */
import { runHandler } from '../../handler/index.ts';
import { probe } from './ffmpeg.ts';
import { fieldsOf } from './input.ts';
import { sourceField } from './readable.ts';

await runHandler(async ({ payload, signal }) => ({
  ...(await probe(sourceField(fieldsOf(payload), 'source'), signal)),
}));

/** `mediaInfo`: `{ source }` → width, height, durationSeconds, frameRate, videoCodec and more of a file. */
import { runHandler } from '../../handler/index.ts';
import { probe } from './ffmpeg.ts';
import { fieldsOf, textField } from './input.ts';

await runHandler(async ({ payload, signal }) => ({ ...(await probe(textField(fieldsOf(payload), 'source'), signal)) }));

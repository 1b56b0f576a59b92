/** `thumbnail`: `{ source, target, width?, atSeconds? }` → one picture, by default from the middle. */
import { runHandler } from '../../handler/index.ts';
import { encode, inputOf, probe, probeFile, writeWhole } from './ffmpeg.ts';
import { even, fieldsOf, numberField, pictureField } from './input.ts';
import { sourceField } from './readable.ts';

await runHandler(async ({ payload, signal }) => {
  const fields = fieldsOf(payload);
  const source = sourceField(fields, 'source');
  const target = pictureField(fields, 'target');
  const { durationSeconds, frameRate } = await probe(source, signal);
  const lastFrame = Math.max(0, durationSeconds - 2 / (frameRate || 25));
  const atSeconds = Math.min(numberField(fields, 'atSeconds') ?? durationSeconds / 2, lastFrame);
  const width = even(numberField(fields, 'width') ?? 320);
  const written = await writeWhole(target, (file) =>
    encode(
      ['-ss', `${atSeconds}`, ...inputOf(source), '-frames:v', '1', '-vf', `scale=${width}:-2`, '-f', 'image2', file],
      { signal },
    ),
  );
  const info = await probeFile(written, target.asked, signal);
  return { file: target.asked, width: info.width, height: info.height, atSeconds };
});

/** `thumbnail`: `{ source, target, width?, atSeconds? }` → one picture, by default from the middle. */
import { runHandler } from '../../handler/index.ts';
import { encode, probe, writeWhole } from './ffmpeg.ts';
import { even, fieldsOf, numberField, textField } from './input.ts';

await runHandler(async ({ payload, signal }) => {
  const fields = fieldsOf(payload);
  const source = textField(fields, 'source');
  const target = textField(fields, 'target');
  const { durationSeconds, frameRate } = await probe(source, signal);
  const lastFrame = Math.max(0, durationSeconds - 2 / (frameRate || 25));
  const atSeconds = Math.min(numberField(fields, 'atSeconds') ?? durationSeconds / 2, lastFrame);
  const width = even(numberField(fields, 'width') ?? 320);
  await writeWhole(target, (file) =>
    encode(['-ss', `${atSeconds}`, '-i', source, '-frames:v', '1', '-vf', `scale=${width}:-2`, file], { signal }),
  );
  const info = await probe(target, signal);
  return { file: target, width: info.width, height: info.height, atSeconds };
});

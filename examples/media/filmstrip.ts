/** `filmstrip`: `{ source, target, frames?, columns?, width? }` → one picture with `frames` pictures of the whole length, tiled. */
import { runHandler } from '../../handler/index.ts';
import { encode, probe, writeWhole } from './ffmpeg.ts';
import { even, fieldsOf, numberField, textField } from './input.ts';

await runHandler(async ({ payload, report, signal }) => {
  const fields = fieldsOf(payload);
  const source = textField(fields, 'source');
  const target = textField(fields, 'target');
  const { durationSeconds } = await probe(source, signal);
  const frames = Math.round(numberField(fields, 'frames') ?? 10);
  const columns = Math.min(frames, Math.round(numberField(fields, 'columns') ?? 5));
  const rows = Math.ceil(frames / columns);
  const width = even(numberField(fields, 'width') ?? 160);
  const filter = `fps=${frames}/${durationSeconds},scale=${width}:-2,tile=${columns}x${rows}`;
  await writeWhole(target, (file) =>
    encode(['-i', source, '-frames:v', '1', '-vf', filter, file], {
      signal,
      durationSeconds,
      percent: (percentComplete) => report({ percentComplete }),
    }),
  );
  const info = await probe(target, signal);
  return { file: target, width: info.width, height: info.height, frames, columns, rows };
});

/**
 * `filmstrip`: `{ source, target, frames?, columns?, width? }` → one picture with `frames` pictures of the whole
 * length, tiled.
 */
import { runHandler } from '../../handler/index.ts';
import { encode, inputOf, probe, probeFile, writeWhole } from './ffmpeg.ts';
import { even, fieldsOf, numberField, pictureField } from './input.ts';
import { sourceField } from './readable.ts';

await runHandler(async ({ payload, report, signal }) => {
  const fields = fieldsOf(payload);
  const source = sourceField(fields, 'source');
  const target = pictureField(fields, 'target');
  const { durationSeconds } = await probe(source, signal);
  const frames = Math.round(numberField(fields, 'frames') ?? 10);
  const columns = Math.min(frames, Math.round(numberField(fields, 'columns') ?? 5));
  const rows = Math.ceil(frames / columns);
  const width = even(numberField(fields, 'width') ?? 160);
  const filter = `fps=${frames}/${durationSeconds},scale=${width}:-2,tile=${columns}x${rows}`;
  const written = await writeWhole(target, (file) =>
    encode([...inputOf(source), '-frames:v', '1', '-vf', filter, '-f', 'image2', file], {
      signal,
      durationSeconds,
      percent: (percentComplete) => report({ percentComplete }),
    }),
  );
  const info = await probeFile(written, target.asked, signal);
  return { file: target.asked, width: info.width, height: info.height, frames, columns, rows };
});

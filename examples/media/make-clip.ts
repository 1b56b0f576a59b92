/** Makes a short video with a moving test picture and a tone: `node make-clip.ts <target> [seconds]` */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openOwnTarget } from '../../handler/index.ts';
import { encode, writeWhole } from './ffmpeg.ts';

/** A clip to be made; without sizes it is 640 × 360 pixels, 25 frames a second, 6 seconds long. */
export interface Clip {
  readonly target: string;
  readonly seconds?: number;
  readonly width?: number;
  readonly height?: number;
  readonly framesPerSecond?: number;
}

/** Makes the clip; the file appears under its name only when it is whole. */
export async function makeClip({
  target,
  seconds = 6,
  width = 640,
  height = 360,
  framesPerSecond = 25,
}: Clip): Promise<void> {
  const picture = `testsrc2=size=${width}x${height}:rate=${framesPerSecond}:duration=${seconds}`;
  const tone = `sine=frequency=440:duration=${seconds}`;
  await mkdir(dirname(target), { recursive: true });
  using place = openOwnTarget(target);
  await writeWhole(place, (file) =>
    encode([
      '-f',
      'lavfi',
      '-i',
      picture,
      '-f',
      'lavfi',
      '-i',
      tone,
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'aac',
      '-shortest',
      file,
    ]),
  );
}

if (import.meta.main) {
  const [target = 'clip.mp4', seconds = '6'] = process.argv.slice(2);
  await makeClip({ target, seconds: Number(seconds) });
  console.log(target);
}

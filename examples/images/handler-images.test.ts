/** The images: recipe and description say the same, and what they put together runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildHandlers, type HandlerImage, imageCopies, mediaImage, sampleImage } from './handler-images.ts';

const images = [sampleImage, mediaImage];
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pop-images-'));
  await buildHandlers(join(folder, 'built'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the last stage of a Dockerfile does, line by line. */
function lastStage({ recipe }: HandlerImage): [instruction: string, rest: string][] {
  const text = readFileSync(new URL(recipe, import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const stage = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
  return stage.map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]);
}

describe.each(images)('$recipe', (image) => {
  const rest = (instruction: string) =>
    lastStage(image).flatMap(([name, words]) => (name === instruction ? [words] : []));

  test('says what the description says', () => {
    const from = ({ of, from: path, to }: HandlerImage['files'][number]) =>
      `--from=build ${of === 'built' ? '/built' : '/src'}/${path} ${to}`;
    expect(rest('COPY')).toEqual(image.files.map(from));
    expect(rest('ENV')).toEqual(Object.entries(image.environment).map(([name, value]) => `${name}=${value}`));
    expect(rest('WORKDIR')).toEqual([image.workingDirectory]);
    expect(rest('USER')).toEqual([image.user]);
    expect(JSON.parse(rest('ENTRYPOINT')[0] ?? 'null')).toEqual(image.entrypoint);
    const packages = rest('RUN').flatMap((line) => /--no-install-recommends (\w+)/.exec(line)?.[1] ?? []);
    expect(packages).toEqual(image.programs.length === 0 ? [] : ['ffmpeg']);
  });

  test('takes no tool of building along, no secret and no root', () => {
    expect(lastStage(image)[0]).toEqual(['FROM', 'node:24-bookworm-slim']);
    expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(lastStage(image).map(([name]) => name)).not.toContain('ARG');
    const names = imageCopies(image, join(folder, 'built')).map(({ to }) => to);
    expect(names.some((name) => /node_modules|\.env|key|\.test\./.test(name))).toBe(false);
  });
});

/** Puts the contents where the description says, below a folder, and runs them with that in the place of the root. */
async function run(image: HandlerImage, parameters: readonly string[], environment: Readonly<Record<string, string>>) {
  const place = mkdtempSync(join(folder, 'root-'));
  for (const { from, to } of imageCopies(image, join(folder, 'built'))) {
    mkdirSync(dirname(join(place, to)), { recursive: true });
    cpSync(from, join(place, to), { recursive: true });
  }
  const inPlace = (word: string) => word.replace(/^\/(app|usr)\//, `${place}/$1/`);
  const [, ...words] = [...image.entrypoint, ...parameters].map(inPlace);
  const ofImage = Object.entries(image.environment).map(([name, value]) => [name, inPlace(value)]);
  const env = { ...Object.fromEntries(ofImage), ...environment };
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, output };
}

test('the sample handler of its image runs', async () => {
  const payload = {
    actions: [{ action: 'log', paramsMap: { logMessage: 'from the image' } }],
    resultPayload: { a: 1 },
  };
  const { exitCode, output } = await run(sampleImage, [], { PAYLOAD: JSON.stringify(payload) });
  expect(output).toMatch(/from the image[\s\S]*\{"a":1\}\nCOMPLETE 100% succeeded/);
  expect(exitCode).toBe(0);
});

test('a media handler of its image reads a picture with the image’s own ffprobe', async () => {
  const roots = join(folder, 'media');
  mkdirSync(roots);
  const [ffmpeg] = imageCopies(mediaImage, folder).filter(({ to }) => to === '/usr/bin/ffmpeg');
  const make = spawn(ffmpeg?.from ?? '', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc=size=64x48:rate=5:duration=1', '-c:v', 'libx264'],
    join(roots, 'a.mp4'),
  ]);
  await once(make, 'close');
  const { output } = await run(mediaImage, ['/app/examples/media/media-info.js'], {
    PAYLOAD: JSON.stringify({ source: join(roots, 'a.mp4') }),
    POP_READ_ROOTS: JSON.stringify([roots]),
  });
  expect(output).toMatch(/"width":64,"height":48/);
});

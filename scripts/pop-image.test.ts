/** The recipe of the image and its description say the same. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { popImage, productionPackages, readLockFile } from './pop-image.ts';

const stages = readFileSync(new URL('../Dockerfile', import.meta.url), 'utf8')
  .split(/^(?=FROM )/m)
  .slice(1)
  .map((stage) => stage.split('\n').filter((line) => line !== '' && !line.startsWith('#')));

/** What follows an instruction in the last stage, line by line. */
const last = (instruction: string) =>
  (stages.at(-1) ?? []).flatMap((line) =>
    line.startsWith(`${instruction} `) ? [line.slice(instruction.length + 1)] : [],
  );

test('the Dockerfile puts together what the description says', () => {
  expect(last('COPY')).toEqual([
    `--from=packages /src/node_modules ${popImage.packages}`,
    ...popImage.files.map(({ from, to }) => `--from=build /src/${from} ${to}`),
  ]);
  expect(last('ENV')).toEqual(Object.entries(popImage.environment).map(([name, value]) => `${name}=${value}`));
  expect(last('WORKDIR')).toEqual([popImage.workingDirectory]);
  expect(last('USER')).toEqual([popImage.user]);
  expect(JSON.parse(last('ENTRYPOINT')[0] ?? 'null')).toEqual(popImage.entrypoint);
});

test('its last stage builds nothing and has no root', () => {
  expect(stages.at(-1)?.[0]).toBe('FROM node:24-bookworm-slim');
  expect(last('RUN')).toEqual([]);
  expect(popImage.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
});

test('packages of production are in it, and none of development or of another machine', () => {
  const packages = productionPackages(readLockFile());
  expect(packages).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
  // What a package of production needs itself is in, though it is ours for development, too.
  const tools = ['vitest', 'typescript', '@biomejs/biome', 'drizzle-kit', '@ffmpeg-installer/ffmpeg'];
  expect(Object.keys(manifest.devDependencies)).toEqual(expect.arrayContaining(tools));
  expect(packages.filter((name) => tools.includes(name))).toEqual([]);
  expect(packages.filter((name) => name in manifest.optionalDependencies || name.startsWith('@swc/core-'))).toEqual([]);
});

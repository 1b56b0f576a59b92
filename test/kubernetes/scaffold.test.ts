/** What `pop handler new` makes, in a Pod: its image as its Dockerfile says, its type with nothing but that image. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { PopFolder } from '../support/pop-process.ts';
import { importImage } from './cluster/real-node.ts';
import { type ImageCopy, writeBusyboxImage, writeNodeImage } from './images.ts';
import { podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { realNodeTest, sharedCluster, testNamespace } from './shared-cluster.ts';

const run = promisify(execFile);

/** The Dockerfile, as far as an image made by hand goes by it. */
function dockerfileOf(folder: string) {
  const text = readFileSync(join(folder, 'Dockerfile'), 'utf8');
  const rest = (word: string) => new RegExp(`^${word} (.*)$`, 'm').exec(text)?.[1] ?? '';
  return { workingDirectory: rest('WORKDIR'), user: rest('USER'), entrypoint: JSON.parse(rest('ENTRYPOINT')) };
}

/** The type of a new handler whose image is on the real node. */
async function imageOf(language: 'shell' | 'typescript', files: readonly string[]): Promise<object> {
  using folder = new PopFolder();
  expect(await folder.pop(['handler', 'new', 'words', '--language', language])).toMatchObject({ code: 0 });
  const made = join(folder.path, 'words');
  if (language === 'typescript') await run('npm', ['install', '--no-audit', '--no-fund'], { cwd: made });
  const { workingDirectory, ...how } = dockerfileOf(made);
  const copies = files.map((name): ImageCopy => ({ from: join(made, name), to: `${workingDirectory}/${name}` }));
  const name = `pop.test/new-${language}:1`;
  const tar = join(folder.path, 'image.tar');
  const write = language === 'shell' ? writeBusyboxImage : writeNodeImage;
  await write({ name, copies, workingDirectory, ...how }, tar);
  await importImage(sharedCluster(), tar);
  return { imageName: name, scheduledSeconds: 60 };
}

realNodeTest.for([
  ['shell', ['handler.sh']],
  ['typescript', ['handler.ts', 'package.json', 'node_modules']],
] as const)('a new handler in %s runs as a Pod as it is', async ([language, files]) => {
  await using namespace = await testNamespace('real');
  using launcher = await podLauncher(namespace.name);
  const work = podRun(await imageOf(language, files), { payload: '{"text":"one two three"}' });
  expect(await toEnd(launcher, work)).toMatchObject({ kind: 'succeeded', result: { words: 3 } });
  await launcher.forget(work.key);
});

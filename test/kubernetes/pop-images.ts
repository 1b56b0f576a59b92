/** The images of `pop` and of the handlers, built without an engine as their descriptions say, on the real node. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  buildHandlers,
  type HandlerImage,
  type ImageCopy,
  imageCopies,
  mediaImage,
  sampleImage,
} from '../../examples/images/handler-images.ts';
import { popImage, popImageCopies } from '../../scripts/pop-image.ts';
import { importImage } from './cluster/real-node.ts';
import { writeNodeImage } from './images.ts';
import { sharedCluster } from './shared-cluster.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The native part of Temporal's SDK. */
const temporalCore = join(
  root,
  'node_modules/@temporalio/core-bridge/releases',
  `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu/index.node`,
);
/** As containerd writes a name without a registry. */
const full = (name: string) => `docker.io/library/${name}`;

type Start = Pick<HandlerImage, 'environment' | 'entrypoint' | 'user' | 'workingDirectory'>;

async function importOne(
  name: string,
  { environment, entrypoint, user, workingDirectory }: Start,
  copies: ImageCopy[],
) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-image-of-'));
  // One layer for all: an image with hundreds of them cannot be mounted.
  const contents = join(folder.path, 'contents');
  for (const { from, to } of copies) {
    await mkdir(dirname(join(contents, to)), { recursive: true });
    await cp(from, join(contents, to), { recursive: true, dereference: true });
  }
  const file = join(folder.path, 'image.tar');
  const image = { environment, entrypoint, user, workingDirectory, command: [] };
  await writeNodeImage({ ...image, name: full(name), copies: [{ from: contents, to: '/' }] }, file);
  await importImage(sharedCluster(), file);
}

/** `pop:dev`, from the clone as it is now. */
export async function importPopImage(): Promise<void> {
  await run(process.execPath, ['scripts/build-package.mjs'], { cwd: root });
  await run(process.execPath, ['scripts/restore-manifest.mjs'], { cwd: root });
  await importOne('pop:dev', popImage, [...popImageCopies(), ...(await librariesOf(temporalCore))]);
}

/** Where Debian's image has them, too; those of Node itself are in all images here. */
async function librariesOf(addon: string): Promise<ImageCopy[]> {
  const { stdout } = await run('ldd', [addon]);
  return [...stdout.matchAll(/\/\S+(?= \(0x)/g)].map(([path]) => ({ from: path, to: path }));
}

/** `pop-media:dev` and `pop-sample:dev`. */
export async function importHandlerImages(): Promise<void> {
  await using built = await mkdtempDisposable(join(tmpdir(), 'pop-built-'));
  await buildHandlers(built.path);
  await importOne('pop-media:dev', mediaImage, imageCopies(mediaImage, built.path));
  await importOne('pop-sample:dev', sampleImage, imageCopies(sampleImage, built.path));
}

/**
 * Container images made by hand, without an engine and without a registry: a tar that `ctr images import`, `podman load`
 * and `docker load` take. It is an OCI layout, with the index of older Dockers (manifest.json) beside it.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, cp, mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A file or a folder of this machine, and its path in the image. */
export interface ImageCopy {
  readonly from: string;
  readonly to: string;
}

/** What is put into an image, and how its containers start. */
export interface Image {
  /** With its registry and tag, such as `pop.test/handlers:1`; nobody pulls it from there. */
  readonly name: string;
  /** Files and folders of this machine, such as a folder of handlers; a layer each, the later over the earlier. */
  readonly copies?: readonly ImageCopy[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  /** Default root; `1000` is a user of all these images. */
  readonly user?: string;
}

/** On every real node: an image with a shell and the usual small programs. */
export const busyboxImage = 'pop.test/busybox:1';
/** On every real node: an image with the Node that runs us, and all of the above. */
export const nodeImage = 'pop.test/node:1';

/** Writes an image with a shell and the usual small programs: Debian's static busybox. */
export async function writeBusyboxImage(image: Image, file: string): Promise<void> {
  await writeImage(image, file, [putBusybox]);
}

/** Writes an image that runs Node as this process does; busybox is in it, too. */
export async function writeNodeImage(image: Image, file: string): Promise<void> {
  await writeImage({ command: ['/usr/bin/node'], ...image }, file, [putBusybox, putNode]);
}

/** Fills the folder of a layer. */
type Fill = (folder: string) => Promise<void>;

async function putBusybox(folder: string): Promise<void> {
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'home']) await mkdir(join(folder, name));
  await chmod(join(folder, 'tmp'), 0o1777);
  const busybox = await findBusybox();
  await copyFile(busybox, join(folder, 'bin/busybox'));
  const { stdout } = await run(busybox, ['--list']);
  for (const name of stdout.trim().split('\n')) {
    if (name !== 'busybox') await symlink('busybox', join(folder, 'bin', name));
  }
  await writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n');
  await writeFile(join(folder, 'etc/group'), 'root:x:0:\nuser:x:1000:\n');
}

async function findBusybox(): Promise<string> {
  for (const path of ['/bin/busybox', '/usr/bin/busybox']) {
    const found = await run('ldd', [path]).then(
      () => 'dynamic',
      ({ stderr, stdout }: { stderr: string; stdout: string }) => `${stdout}${stderr}`,
    );
    if (found.includes('not a dynamic executable')) return path;
  }
  throw new Error('There is no static busybox; on Debian: apt-get install busybox-static.');
}

/** The binary of this process, and the libraries that it is linked to, where it looks for them. */
async function putNode(folder: string): Promise<void> {
  await put(process.execPath, join(folder, 'usr/bin/node'));
  await chmod(join(folder, 'usr/bin/node'), 0o755);
  const { stdout } = await run('ldd', [process.execPath]);
  for (const [path] of stdout.matchAll(/\/\S+(?= \(0x)/g)) await put(path, join(folder, path));
}

async function put(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { recursive: true, dereference: true });
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

async function writeImage(image: Image, file: string, base: readonly Fill[]): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'pop-image-'));
  try {
    const layout = join(work, 'layout');
    await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
    const copies = (image.copies ?? []).map(
      ({ from, to }) =>
        (folder: string) =>
          put(from, join(folder, to)),
    );
    const layers: Blob[] = [];
    for (const fill of [...base, ...copies]) layers.push(await addLayer(work, layout, fill));
    const config = await addJson(layout, 'application/vnd.oci.image.config.v1+json', imageConfig(image, layers));
    const manifest = await addJson(layout, manifestType, {
      schemaVersion: 2,
      mediaType: manifestType,
      config,
      layers,
    });
    await writeIndexes(layout, image.name, manifest, config, layers);
    await mkdir(dirname(file), { recursive: true });
    // Whole or not at all.
    const fresh = `${file}.${process.pid}`;
    await tar(layout, fresh);
    await rename(fresh, file);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

function imageConfig(image: Image, layers: readonly Blob[]): unknown {
  const environment = { PATH: '/usr/bin:/bin', ...image.environment };
  return {
    created: '1970-01-01T00:00:00Z',
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    os: 'linux',
    config: {
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      Cmd: image.command ?? ['/bin/sh'],
      ...(image.entrypoint === undefined ? {} : { Entrypoint: image.entrypoint }),
      ...(image.workingDirectory === undefined ? {} : { WorkingDir: image.workingDirectory }),
      ...(image.user === undefined ? {} : { User: image.user }),
    },
    // Layers are not packed, so their digests are those of their content.
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'test/kubernetes/images.ts' })),
  };
}

async function writeIndexes(
  layout: string,
  name: string,
  manifest: Blob,
  config: Blob,
  layers: readonly Blob[],
): Promise<void> {
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(layout, 'index.json'), JSON.stringify(index));
  const ofDocker = [
    { Config: blobPath(config.digest), RepoTags: [name], Layers: layers.map((l) => blobPath(l.digest)) },
  ];
  await writeFile(join(layout, 'manifest.json'), JSON.stringify(ofDocker));
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

async function addLayer(work: string, layout: string, fill: Fill): Promise<Blob> {
  const folder = await mkdtemp(join(work, 'layer-'));
  await chmod(folder, 0o755);
  await fill(folder);
  const file = `${folder}.tar`;
  await tar(folder, file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const digest = `sha256:${hash.digest('hex')}`;
  const { size } = await stat(file);
  await rename(file, join(layout, blobPath(digest)));
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size };
}

async function addJson(layout: string, mediaType: string, value: unknown): Promise<Blob> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await writeFile(join(layout, blobPath(digest)), bytes);
  return { mediaType, digest, size: bytes.length };
}

/** The same files give the same bytes, whoever owns them and whenever they were written. */
async function tar(folder: string, file: string): Promise<void> {
  const flags = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  await run('tar', [...flags, '-C', folder, '-cf', file, '.']);
}

/**
 * What is in the images of the sample and the media handlers. The Dockerfiles beside this build the same with an
 * engine; tests build them without one (`imageCopies`).
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** An image: Node 24 with `node` in PATH, and beside it this. */
export interface HandlerImage {
  /** Its Dockerfile, in this folder. */
  readonly recipe: string;
  /** Folders and files, in the clone (`source`) or of what the compiler made of it (`built`), to where they go. */
  readonly files: readonly { readonly of: 'source' | 'built'; readonly from: string; readonly to: string }[];
  /** Programs: an npm package that has it, for tests; the Dockerfile installs Debian's. */
  readonly programs: readonly { readonly package: string; readonly to: string }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** A number, for Kubernetes must see that it is not root. */
  readonly user: string;
  readonly entrypoint: readonly string[];
}

/** A file or folder of this machine, and where it goes in an image. */
export interface ImageCopy {
  readonly from: string;
  readonly to: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const common = {
  files: [
    { of: 'source', from: 'examples/images/package.json', to: '/app/package.json' },
    { of: 'built', from: 'handler', to: '/app/handler' },
  ],
  environment: { NODE_ENV: 'production' },
  workingDirectory: '/tmp',
  user: '1000:1000',
} as const;

/** The sample handler: one program. */
export const sampleImage: HandlerImage = {
  ...common,
  recipe: 'sample.Dockerfile',
  programs: [],
  entrypoint: ['node', '/app/handler/sample.js'],
};

/** The media handlers: the arguments of a type say which program of `/app/examples/media`. */
export const mediaImage: HandlerImage = {
  ...common,
  recipe: 'media.Dockerfile',
  files: [...common.files, { of: 'built', from: 'examples/media', to: '/app/examples/media' }],
  programs: [
    { package: '@ffmpeg-installer/ffmpeg', to: '/usr/bin/ffmpeg' },
    { package: '@ffprobe-installer/ffprobe', to: '/usr/bin/ffprobe' },
  ],
  environment: { ...common.environment, FFMPEG_PATH: '/usr/bin/ffmpeg', FFPROBE_PATH: '/usr/bin/ffprobe' },
  entrypoint: ['node'],
};

/** Compiles the handlers into this folder, as the Dockerfiles do. */
export async function buildHandlers(folder: string): Promise<void> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [
    compiler,
    ...['-p', join(root, 'examples/images/tsconfig.json'), '--outDir', folder],
  ]);
}

/** Where the contents of an image are on this machine, once `buildHandlers` has filled the folder. */
export function imageCopies(image: HandlerImage, built: string): ImageCopy[] {
  const require = createRequire(import.meta.url);
  return [
    ...image.files.map(({ of, from, to }) => ({ from: join(of === 'source' ? root : built, from), to })),
    ...image.programs.map((program) => ({ from: (require(program.package) as { path: string }).path, to: program.to })),
  ];
}

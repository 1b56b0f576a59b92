/**
 * What is in the image of `pop`. The Dockerfile at the root builds it with an engine; tests build the same without one
 * (`popImageCopies`). `npm run prepack`, or scripts/build-package.mjs, has filled dist/ before.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ImageCopy } from '../examples/images/handler-images.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The image: Node 24 with `node` in PATH, and beside it this. */
export const popImage = {
  /** Files and folders of the clone, once it is built, to where they go; and the packages of production. */
  files: [
    { from: 'dist', to: '/app/dist' },
    { from: 'k8s/deploy/pop', to: '/usr/bin/pop' },
  ],
  packages: '/app/node_modules',
  environment: { NODE_ENV: 'production', HOME: '/tmp' },
  workingDirectory: '/tmp',
  /** A number, for Kubernetes must see that it is not root. */
  user: '1000:1000',
  entrypoint: ['pop'],
} as const;

/** Whom an installed package is for. */
interface LockedPackage {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
}

/** What of package-lock.json decides what is in the image. */
export interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** That of this clone. */
export const readLockFile = (): LockFile =>
  JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;

/**
 * Folders of the packages that `npm ci --omit=dev --omit=optional` installs, below `node_modules/`; those inside of
 * another package's folder come with it. Nothing optional is needed: a Postgres and a Node are elsewhere.
 */
export function productionPackages(lock: LockFile): string[] {
  const prefix = 'node_modules/';
  return Object.entries(lock.packages)
    .filter(([, { dev, optional, devOptional }]) => !dev && !optional && !devOptional)
    .map(([path]) => path.slice(prefix.length))
    .filter((path) => path !== '' && !path.includes(`/${prefix}`));
}

/** Where the contents are on this machine. */
export function popImageCopies(): ImageCopy[] {
  const { files, packages } = popImage;
  return [
    ...files.map(({ from, to }) => ({ from: join(root, from), to })),
    ...productionPackages(readLockFile()).map((name) => ({
      from: join(root, 'node_modules', name),
      to: `${packages}/${name}`,
    })),
  ];
}

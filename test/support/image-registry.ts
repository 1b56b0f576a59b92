/** A registry of one image, for tests of pulling: what the distribution protocol asks for one to be had. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A registry at `host`, which has one image. */
export interface ImageRegistry extends AsyncDisposable {
  /** The image's name, with the registry. */
  readonly image: string;
  /** How often its manifest was asked for. */
  readonly asked: () => number;
  /** From now on it has the image, or has not. */
  setThere(isThere: boolean): void;
}

/** How a registry differs from an open one on the loopback. */
export interface ImageRegistryOptions {
  readonly host?: string;
  /** Only who says this is served. */
  readonly login?: { readonly user: string; readonly password: string };
}

/** Serves the root file system, a tar, as an image of one layer. */
export async function imageRegistry(
  rootFileSystem: Buffer,
  { host = '127.0.0.1', login }: ImageRegistryOptions = {},
): Promise<ImageRegistry> {
  const blobs = new Map<string, Buffer>();
  const blob = (mediaType: string, content: Buffer) => {
    const digest = digestOf(content);
    blobs.set(digest, content);
    return { mediaType, digest, size: content.length };
  };
  const layer = blob('application/vnd.oci.image.layer.v1.tar', rootFileSystem);
  const settings = { architecture: architectureOf(process.arch), os: 'linux', config: {} };
  const config = { ...settings, rootfs: { type: 'layers', diff_ids: [layer.digest] } };
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = Buffer.from(
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType },
      config: blob('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify(config))),
      layers: [layer],
    }),
  );
  let asked = 0;
  let isThere = true;
  const wanted = login && `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;
  const server = createServer(({ url = '', method, headers }, response) => {
    if (wanted !== undefined && headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return;
    }
    const isManifest = url.startsWith('/v2/tools/manifests/');
    if (isManifest && method === 'GET') asked += 1;
    const content = isManifest ? (isThere ? manifest : undefined) : blobs.get(url.slice('/v2/tools/blobs/'.length));
    if (content === undefined) {
      response.writeHead(url === '/v2/' ? 200 : 404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': isManifest ? mediaType : 'application/octet-stream',
      'content-length': content.length,
      'docker-content-digest': digestOf(content),
    });
    response.end(method === 'HEAD' ? undefined : content);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    image: `${host}:${port}/tools:1`,
    asked: () => asked,
    setThere(now) {
      isThere = now;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const digestOf = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`;

const architectureOf = (name: string): string => ({ x64: 'amd64', arm64: 'arm64' })[name] ?? name;

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
}

/** Serves the root file system, a tar, as an image of one layer. */
export async function imageRegistry(rootFileSystem: Buffer): Promise<ImageRegistry> {
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
  const server = createServer(({ url = '', method }, response) => {
    const isManifest = url.startsWith('/v2/tools/manifests/');
    if (isManifest && method === 'GET') asked += 1;
    const content = isManifest ? manifest : blobs.get(url.slice('/v2/tools/blobs/'.length));
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
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    image: `127.0.0.1:${port}/tools:1`,
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const digestOf = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`;

const architectureOf = (name: string): string => ({ x64: 'amd64', arm64: 'arm64' })[name] ?? name;

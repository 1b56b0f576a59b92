/** A way to the system's api of one pool worker's own: it counts what passes, and can be shut. */
import { request as ask, createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { system } from './running-system.ts';

/** A request that passed. */
export interface Passed {
  readonly path: string;
  /** Epoch milliseconds. */
  readonly time: number;
}

/** A proxy before the api. */
export class FrontDoor implements AsyncDisposable {
  readonly passed: Passed[] = [];
  #server: Server | undefined;
  #port = 0;

  static async open(): Promise<FrontDoor> {
    const door = new FrontDoor();
    await door.open();
    return door;
  }

  /** The api through it, with its base path. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}${new URL(system.url).pathname}`;
  }

  /** On the same port as before. */
  async open(): Promise<void> {
    const { hostname, port } = new URL(system.url);
    const server = createServer((incoming, response) => {
      const { method, url: path = '/', headers } = incoming;
      this.passed.push({ path, time: Date.now() });
      const onward = ask({ hostname, port, method, path, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      incoming.pipe(onward);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Ends what passes, and takes nothing new. */
  async shut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shut();
  }
}

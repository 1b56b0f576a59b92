/** `pop up`: a whole system on this machine, until it is asked to stop. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadRegistry } from '../../launchers/registry.ts';
import { ensureDefaults, firstCommand } from '../../machine/defaults.ts';
import { makeMediaFolder, type Ports, System } from '../../machine/system.ts';
import type { Command } from '../command.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const help = `pop up [options]
  Runs Postgres, Temporal, the api, a control worker and a pool worker on this machine until Ctrl-C.

  --port N           the API's port; the next free one when it is taken (8080)
  --temporal-port N  Temporal's port (7233)
  --ui-port N        the Temporal Web UI's port (8233)
  --postgres-port N  Postgres' port (54329)
  --home DIR         where everything is kept; default POP_HOME or .pop
  --registry FILE    operation types of the pool worker; default POP_REGISTRY or examples/media/registry.json`;

async function run(args: readonly string[]): Promise<number> {
  const started = performance.now();
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string', default: '8080' },
      'temporal-port': { type: 'string', default: '7233' },
      'ui-port': { type: 'string', default: '8233' },
      'postgres-port': { type: 'string', default: '54329' },
      home: { type: 'string', default: process.env.POP_HOME ?? resolve(root, '.pop') },
      registry: { type: 'string', default: process.env.POP_REGISTRY ?? resolve(root, 'examples/media/registry.json') },
    },
  });
  if (!existsSync(values.registry)) throw new Error(`There is no registry file ${values.registry}.`);
  // Here rather than in the pool worker, so that its faults are read in the terminal, and before anything has started.
  const registry = loadRegistry(values.registry, { ...process.env, POP_HOME: resolve(values.home) });
  const usesMedia = [...registry.types.values()].some(
    (settings) => settings.launch === 'local' && settings.readRoots?.includes(resolve(values.home, 'media')),
  );
  const media = usesMedia ? await makeMediaFolder(values.home) : undefined;
  const ports: Ports = {
    api: portOf('--port', values.port),
    temporal: portOf('--temporal-port', values['temporal-port']),
    ui: portOf('--ui-port', values['ui-port']),
    postgres: portOf('--postgres-port', values['postgres-port']),
  };
  // Heard from the beginning, so that Ctrl-C during the start leaves nothing behind.
  const stop = listenForStop();
  console.log('Starting Postgres, Temporal, api, control worker and pool worker …');
  let system: System | undefined;
  void stop.second.then(() => {
    console.log('Stopping at once.');
    system?.destroy();
    process.exit(1);
  });
  const abort = new AbortController();
  void stop.first.then(() => abort.abort());
  system = await System.start({
    home: values.home,
    registry: values.registry,
    ports,
    restarts: true,
    signal: abort.signal,
    say: (line) => console.log(line),
  });
  try {
    await ensureDefaults(system);
    console.log(welcome(system, media, performance.now() - started));
    await stop.first;
    console.log(
      '\nStopping: running handlers are ended and run again after the next start. Ctrl-C again stops at once.',
    );
  } finally {
    await system.stopAll();
  }
  console.log('Stopped.');
  return 0;
}

/** `pop up` */
export const up: Command = { help, run };

function welcome(system: System, media: string | undefined, milliseconds: number): string {
  const { api, reference, temporalUi } = system.urls;
  const videos = media === undefined ? '' : `  Videos           ${media}\n`;
  return `
Ready in ${(milliseconds / 1000).toFixed(1)} s.

  API              ${api}
  API reference    ${reference}
  Temporal Web UI  ${temporalUi}
  Data and logs    ${system.data}
${videos}  Keys             ${system.data}/keys.json

Submit a first Agenda from another terminal:

${firstCommand(system)}

Ctrl-C stops it; what is unfinished goes on at the next start.`;
}

interface Stop {
  readonly first: Promise<void>;
  readonly second: Promise<void>;
}

function listenForStop(): Stop {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let heard = 0;
  let heardAt = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // npm passes a Ctrl-C on that the terminal has given us already: that is one, not two.
      if (heard > 0 && performance.now() - heardAt < 500) return;
      heard += 1;
      heardAt = performance.now();
      if (heard === 1) first.resolve();
      else second.resolve();
    });
  }
  return { first: first.promise, second: second.promise };
}

function portOf(option: string, text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`${option} must be a port number, not "${text}".`);
  return port;
}

/** `pop up`: a whole system on this machine, until it is asked to stop. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import type { Ports, System } from '../../machine/system.ts';
import { aborted } from '../../process/aborted.ts';
import { usualHome } from '../../process/usual-home.ts';
import type { CommandSpec } from '../command.ts';
import { CommandError, type ExitCode, exitCodes } from '../exit-codes.ts';
import { portOf } from '../option-values.ts';
import { stopSignals } from '../stop-signals.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const exampleRegistry = 'examples/media/registry.json';

interface UpOptions {
  readonly port: number;
  readonly temporalPort: number;
  readonly uiPort: number;
  readonly postgresPort: number;
  readonly home: string;
  readonly registry: string;
}

async function run(command: Command): Promise<ExitCode> {
  const started = performance.now();
  const values = command.opts<UpOptions>();
  // Loaded here: its help is told without them.
  const [{ loadRegistry }, { ensureDefaults, firstCommand }, { makeMediaFolder, System }] = await Promise.all([
    import('../../launchers/registry.ts'),
    import('../../machine/defaults.ts'),
    import('../../machine/system.ts'),
  ]);
  if (!existsSync(values.registry))
    throw new CommandError(exitCodes.usage, `There is no registry file ${values.registry}.`);
  // Here rather than in the pool worker, so that its faults are read in the terminal, and before anything has started.
  const registry = loadRegistry(values.registry, { ...process.env, POP_HOME: resolve(values.home) });
  const usesMedia = [...registry.types.values()].some(
    (settings) => settings.launch === 'local' && settings.readRoots?.includes(resolve(values.home, 'media')),
  );
  const media = usesMedia ? await makeMediaFolder(values.home) : undefined;
  const ports: Ports = {
    api: values.port,
    temporal: values.temporalPort,
    ui: values.uiPort,
    postgres: values.postgresPort,
  };
  // Heard from the beginning, so that Ctrl-C during the start leaves nothing behind.
  using stop = stopSignals();
  console.log('Starting Postgres, Temporal, api, control worker and pool worker …');
  let system: System | undefined;
  stop.second.addEventListener('abort', () => {
    console.log('Stopping at once.');
    system?.destroy();
    process.exit(1);
  });
  system = await System.start({
    home: values.home,
    registry: values.registry,
    ports,
    restarts: true,
    signal: stop.first,
    say: (line) => console.log(line),
  });
  try {
    await ensureDefaults(system);
    console.log(welcome(system, firstCommand(system), media, performance.now() - started));
    await aborted(stop.first);
    console.log(
      '\nStopping: running handlers are ended and run again after the next start. Ctrl-C again stops at once.',
    );
  } finally {
    await system.stopAll();
  }
  console.log('Stopped.');
  return exitCodes.done;
}

/** `pop up` */
export const up: CommandSpec = {
  examples: [
    { line: 'pop up', does: 'a whole system until Ctrl-C' },
    { line: 'pop up --port 9000 --home /srv/pop', does: 'on another port, everything kept in /srv/pop' },
    { line: 'pop up --registry my/registry.json', does: 'with Operation types of your own' },
  ],
  description: 'Runs Postgres, Temporal, the api, a control worker and a pool worker on this machine until Ctrl-C.',
  declare: (command) =>
    command
      .option('--port <n>', "the API's port; the next free one when it is taken", portOf, 8080)
      .option('--temporal-port <n>', "Temporal's port", portOf, 7233)
      .option('--ui-port <n>', "the Temporal Web UI's port", portOf, 8233)
      .option('--postgres-port <n>', "Postgres' port", portOf, 54_329)
      .addOption(
        new Option('--home <dir>', 'where everything is kept')
          .env('POP_HOME')
          .default(usualHome, usualHome === resolve(root, '.pop') ? '.pop' : '~/.pop'),
      )
      .addOption(
        new Option('--registry <file>', 'Operation types of the pool worker')
          .env('POP_REGISTRY')
          .default(resolve(root, exampleRegistry), exampleRegistry),
      ),
  run,
};

function welcome(system: System, first: string, media: string | undefined, milliseconds: number): string {
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

${first}

Ctrl-C stops it; what is unfinished goes on at the next start.`;
}

/** The commands of `pop` by name. Only the one that is asked for is loaded. */
import manifest from '../package.json' with { type: 'json' };
import type { CommandSpec, Example } from './command.ts';

/** A command: of it the list of commands knows the summary only. */
export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<CommandSpec>;
}

/** Commands of one noun, such as `pop key …`. */
export interface CommandGroup {
  readonly summary: string;
  readonly examples: readonly Example[];
  readonly commands: Readonly<Record<string, CommandEntry | CommandGroup>>;
}

const version: CommandSpec = {
  examples: [{ line: 'pop version', does: 'print the version of this program' }],
  description: 'Prints the version.',
  run: async () => {
    console.log(manifest.version);
    return 0;
  },
};

/** `pop` itself. */
export const commandTree: CommandGroup = {
  summary: 'Priority Operation Processing on Temporal',
  examples: [
    { line: 'pop up', does: 'run a whole system on this machine until Ctrl-C' },
    { line: 'pop pool run --help', does: 'what a pool worker is started with' },
  ],
  commands: {
    up: { summary: 'run a whole system on this machine', load: async () => (await import('./commands/up.ts')).up },
    run: {
      summary: 'run an Agenda on this machine without a server',
      load: async () => (await import('./commands/run.ts')).runCommand,
    },
    handler: {
      summary: 'write handlers and try them',
      examples: [
        { line: 'pop handler new resize', does: 'a folder with a handler, its test and its registry entry' },
        { line: 'pop handler run resize --payload payload.json', does: 'run it on this machine' },
      ],
      commands: {
        new: {
          summary: 'make a handler to begin with',
          load: async () => (await import('./commands/handler-new.ts')).handlerNew,
        },
        run: {
          summary: 'run a handler on this machine without a server',
          load: async () => (await import('./commands/handler-run.ts')).handlerRun,
        },
      },
    },
    serve: { summary: 'run the api', load: async () => (await import('./commands/serve.ts')).serve },
    worker: { summary: 'run a control worker', load: async () => (await import('./commands/worker.ts')).worker },
    pool: {
      summary: 'pool workers',
      examples: [{ line: 'pop pool run --pool studio …', does: 'run a pool worker' }],
      commands: {
        run: { summary: 'run a pool worker', load: async () => (await import('./commands/pool-run.ts')).poolRun },
      },
    },
    migrate: {
      summary: 'bring the database to the schema of this release',
      load: async () => (await import('./commands/migrate.ts')).migrate,
    },
    installation: {
      summary: 'give a copied database an id of its own',
      examples: [{ line: 'pop installation renew', does: 'a new installation id for a restored copy of a database' }],
      commands: {
        renew: {
          summary: 'a new installation id for a copied database',
          load: async () => (await import('./commands/installation-renew.ts')).installationRenew,
        },
      },
    },
    key: {
      summary: 'keys of an installation',
      examples: [
        { line: 'pop key create --first', does: 'the first key of a fresh database' },
        { line: 'pop key rotate-launch-tokens', does: 'a new key for the tokens of launches' },
      ],
      commands: {
        create: {
          summary: 'make the first key of a fresh database',
          load: async () => (await import('./commands/key-create.ts')).keyCreate,
        },
        'rotate-launch-tokens': {
          summary: 'replace the key of the tokens of launches',
          load: async () => (await import('./commands/key-rotate-launch-tokens.ts')).keyRotateLaunchTokens,
        },
      },
    },
    version: { summary: 'print the version', load: async () => version },
  },
};

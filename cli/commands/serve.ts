/** `pop serve`: the api. */
import type { CommandSpec } from '../command.ts';
import {
  addSettings,
  databaseOption,
  processOptions,
  runAsCommand,
  type SettingOption,
  temporalOptions,
} from '../program-options.ts';

const options: readonly SettingOption[] = [
  databaseOption,
  ['--host <address>', 'address to listen on; 127.0.0.1', 'HOST'],
  ['--port <port>', 'port to listen on, 0 for any free one; 8080', 'PORT'],
  ['--base-path <path>', 'before every path but the probes; /v1', 'BASE_PATH'],
  ['--database-connections <n>', 'connections to Postgres, at most; 20', 'POP_DATABASE_CONNECTIONS'],
  ['--key-environment <word>', 'the part of new keys between pop_ and their prefix; live', 'POP_KEY_ENVIRONMENT'],
  ['--metrics-customers <n>', 'customers of each Insight whose shares are metrics; 20', 'POP_METRICS_CUSTOMERS'],
];

/** `pop serve` */
export const serve: CommandSpec = {
  examples: [
    {
      line: 'pop serve --database postgres://pop@localhost/pop',
      does: 'the api on 127.0.0.1:8080, Temporal beside it',
    },
    { line: 'pop serve --host 0.0.0.0 --port 80', does: 'for other machines, the rest from variables' },
  ],
  description:
    'Runs the api until SIGTERM. It brings the database to its schema, waits for Postgres, and does not need ' +
    'Temporal to start. Probes are at /livez and /readyz of its own port, too.',
  declare: (command) => addSettings(command, [...options, ...temporalOptions, ...processOptions]),
  run: async (command) =>
    runAsCommand(command, 'api', async () => {
      const { runApi } = await import('../../workers/run-api.ts');
      await runApi();
    }),
};

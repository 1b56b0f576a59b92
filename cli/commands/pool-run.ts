/** `pop pool run`: a pool worker. */
import type { CommandSpec } from '../command.ts';
import { CommandError, exitCodes } from '../exit-codes.ts';
import {
  addSettings,
  metricsOptions,
  processOptions,
  runAsCommand,
  type SettingOption,
  temporalOptions,
} from '../program-options.ts';

const options: readonly SettingOption[] = [
  ['--pool <id>', 'the ResourcePool to serve', 'POP_POOL_ID'],
  ['--api <url>', 'the api with its base path, such as https://pop.example/v1', 'POP_URL'],
  ['--key-file <file>', 'file with a key that has the scope pool:<id>', 'POP_API_KEY_FILE'],
  ['--key <key>', 'the key itself; other users of this machine can see it', 'POP_API_KEY'],
  ['--registry <file>', 'Operation types, and what runs them', 'POP_REGISTRY'],
  ['--run-directory <dir>', 'runs are kept here; workers that share it adopt from each other', 'POP_RUN_DIRECTORY'],
  ['--kubeconfig <file>', 'a cluster to launch Pods in; in a Pod that of its own', 'POP_KUBECONFIG'],
  ['--kube-context <name>', 'one of its contexts; the current one', 'POP_KUBECONTEXT'],
  ['--namespace <name>', "where Pods go; the worker's own, or the context's", 'POP_NAMESPACE'],
  ['--handler-url <url>', 'where handlers reach the api; the address of --api', 'POP_HANDLER_URL'],
  ['--concurrency <n>', 'Operations at once; twice the cores, at least 4', 'POP_CONCURRENCY'],
  ['--reap-seconds <n>', 'between two looks for handlers that nobody follows; 60', 'POP_REAP_SECONDS'],
];

/** `pop pool run` */
export const poolRun: CommandSpec = {
  examples: [
    {
      line:
        'pop pool run --pool studio --api https://pop.example/v1 --key-file pool.key ' +
        '--temporal temporal.example:7233 --registry registry.json --run-directory /var/lib/pop/runs',
      does: 'serve the ResourcePool studio',
    },
    {
      line:
        'pop pool run --pool farm --api https://pop.example/v1 --key-file pool.key ' +
        '--temporal temporal.example:7233 --registry registry.json --kubeconfig farm.yaml --namespace handlers',
      does: 'serve a pool whose Operations are Pods of a cluster',
    },
    { line: 'pop pool run', does: 'the same with POP_POOL_ID, POP_URL, … set' },
  ],
  description:
    'Runs a pool worker until SIGTERM: it launches the Operations of one ResourcePool. It only calls out, to the api ' +
    'and to Temporal, and waits for both. Any number may serve a pool. A key that is not good, or is of another ' +
    'pool, ends it with 3; so does a cluster that does not grant it what it needs. More settings, as variables, are ' +
    'in docs/operations.md.',
  declare: (command) => addSettings(command, [...options, ...temporalOptions, ...metricsOptions, ...processOptions]),
  run: async (command) =>
    runAsCommand(command, 'pool', async () => {
      const [{ runPool }, { RegistryError }] = await Promise.all([
        import('../../workers/run-pool.ts'),
        import('../../launchers/registry.ts'),
      ]);
      await runPool().catch((error: unknown) => {
        if (!(error instanceof RegistryError)) throw error;
        throw new CommandError(exitCodes.usage, error.message, { cause: error });
      });
    }),
};

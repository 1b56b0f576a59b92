/** `pop worker`: the control worker. */
import type { CommandSpec } from '../command.ts';
import {
  addSettings,
  databaseOption,
  metricsOptions,
  processOptions,
  runAsCommand,
  type SettingOption,
  temporalOptions,
} from '../program-options.ts';

const options: readonly SettingOption[] = [
  ['--heartbeat-seconds <n>', 'so long after its last sign a pool worker counts as gone; 60', 'POP_HEARTBEAT_SECONDS'],
  ['--cancel-seconds <n>', 'longest wait of a cancelled Agenda for its handlers to end; 120', 'POP_CANCEL_SECONDS'],
  ['--quiet-seconds <n>', 'an Agenda that was quiet so long is checked against Temporal; 60', 'POP_QUIET_SECONDS'],
  ['--sweep-seconds <n>', 'between two such looks; 5', 'POP_SWEEP_SECONDS'],
  ['--admissions-days <n>', 'so long admissions are kept; 30', 'POP_ADMISSIONS_DAYS'],
  ['--metrics-customers <n>', 'customers of each Insight whose shares are metrics; 20', 'POP_METRICS_CUSTOMERS'],
];

/** `pop worker` */
export const worker: CommandSpec = {
  examples: [
    { line: 'pop worker --database postgres://pop@localhost/pop', does: 'a control worker, Temporal beside it' },
    { line: 'pop worker --temporal temporal.example:7233 --temporal-tls', does: 'another Temporal, over TLS' },
  ],
  description:
    'Runs a control worker until SIGTERM: it admits Agendas, walks them and sweeps up. Any number may run. It waits ' +
    'for Postgres, for the schema that an api or pop migrate makes, and for Temporal.',
  declare: (command) =>
    addSettings(command, [databaseOption, ...options, ...temporalOptions, ...metricsOptions, ...processOptions]),
  run: async (command) =>
    runAsCommand(command, 'control', async () => {
      const { runControl } = await import('../../workers/run-control.ts');
      await runControl();
    }),
};

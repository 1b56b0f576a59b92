/** Options that are settings of a program: each stands for an environment variable, and wins over it. */
import { type Command, Option } from 'commander';
import { SettingError, WrongSettingError } from '../process/environment.ts';
import { DrainTimeoutError } from '../process/shutdown.ts';
import { CommandError, type ExitCode, exitCodes } from './exit-codes.ts';

/** An option, what it says, and the variable that it stands for. */
export type SettingOption = readonly [flags: string, description: string, variable: string];

/** What every program of ours may be set to. */
export const processOptions: readonly SettingOption[] = [
  ['--drain-seconds <n>', 'when told to end, what is under way has so long; 20', 'POP_DRAIN_SECONDS'],
  ['--health-port <port>', 'serves /livez and /readyz there', 'POP_HEALTH_PORT'],
  ['--health-host <address>', 'its address; 127.0.0.1', 'POP_HEALTH_HOST'],
  ['--log-level <level>', 'debug, info, warn or error; info', 'LOG_LEVEL'],
];

/** Where a worker tells its metrics. */
export const metricsOptions: readonly SettingOption[] = [
  ['--metrics-port <port>', 'serves /metrics there, and the probes', 'POP_METRICS_PORT'],
  ['--metrics-host <address>', 'its address, which only the collector should reach; 127.0.0.1', 'POP_METRICS_HOST'],
];

/** Where Temporal is, and how it is spoken to. */
export const temporalOptions: readonly SettingOption[] = [
  ['--temporal <address>', "Temporal's host:port; 127.0.0.1:7233", 'TEMPORAL_ADDRESS'],
  ['--temporal-namespace <name>', 'its namespace; default', 'TEMPORAL_NAMESPACE'],
  ['--installation <name>', 'name of this installation, where several share a namespace', 'POP_INSTALLATION'],
  ['--temporal-tls', 'speak TLS; each of the following turns it on, too', 'TEMPORAL_TLS'],
  ['--temporal-tls-ca <file>', 'the authority that its certificate is of; those of the system', 'TEMPORAL_TLS_CA'],
  ['--temporal-tls-cert <file>', 'the certificate to show (mTLS)', 'TEMPORAL_TLS_CERT'],
  ['--temporal-tls-key <file>', 'and its key', 'TEMPORAL_TLS_KEY'],
  ['--temporal-tls-server-name <name>', 'the name its certificate has; that of --temporal', 'TEMPORAL_TLS_SERVER_NAME'],
  ['--temporal-api-key-file <file>', 'the key for Temporal; or TEMPORAL_API_KEY', 'TEMPORAL_API_KEY_FILE'],
];

/** Where Postgres is. */
export const databaseOption: SettingOption = ['--database <url>', 'postgres://user:password@host/name', 'DATABASE_URL'];

/** Adds options to a command. */
export function addSettings(command: Command, options: readonly SettingOption[]): void {
  for (const [flags, description, variable] of options) command.addOption(new Option(flags, description).env(variable));
}

/** Puts what was given as options where programs read their settings. */
export function applySettings(command: Command, environment: NodeJS.ProcessEnv = process.env): void {
  for (const option of command.options) {
    const { envVar } = option;
    if (envVar === undefined || command.getOptionValueSource(option.attributeName()) !== 'cli') continue;
    environment[envVar] = String(command.getOptionValue(option.attributeName()));
    // A secret and the file of it stand for each other, so the option wins over both variables.
    const other = envVar.endsWith('_FILE') ? envVar.slice(0, -'_FILE'.length) : `${envVar}_FILE`;
    if (!wasGiven(command, other)) delete environment[other];
  }
}

function wasGiven(command: Command, variable: string): boolean {
  const option = command.options.find(({ envVar }) => envVar === variable);
  return option !== undefined && command.getOptionValueSource(option.attributeName()) === 'cli';
}

/** Does `run` with its settings from the options. @throws CommandError: usage, refused by the other side, timed out */
export async function runWithSettings(command: Command, run: () => Promise<void>): Promise<ExitCode> {
  applySettings(command);
  try {
    await run();
    return exitCodes.done;
  } catch (error) {
    throw asCommandError(command, error);
  }
}

/** Runs one of the programs as a command, to its orderly end; what nobody foresaw goes to its log, with its stack. */
export async function runAsCommand(command: Command, part: string, run: () => Promise<void>): Promise<ExitCode> {
  try {
    return await runWithSettings(command, run);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { createLog } = await import('../process/log.ts');
    createLog(part).fatal({ err: error }, `the ${part} ended`);
    return exitCodes.failed;
  }
}

/** Settings are told with the option and the variable of each. */
function asCommandError(command: Command, error: unknown): unknown {
  if (error instanceof WrongSettingError) {
    const lines = error.faults.map(({ setting, problem }) => {
      const flags = command.options.find(({ envVar }) => envVar === setting)?.flags;
      return `\n  ${flags === undefined ? setting : `${flags} (${setting})`} ${problem}`;
    });
    // One setting may lead to several.
    const told = [...new Set(lines)].join('');
    return new CommandError(exitCodes.usage, `settings are missing or wrong:${told}`, { cause: error });
  }
  if (error instanceof DrainTimeoutError) return new CommandError(exitCodes.timedOut, error.message, { cause: error });
  if (error instanceof SettingError) return new CommandError(exitCodes.refused, error.message, { cause: error });
  return error;
}

/** Builds the environment of a handler: the handler contract, and a short list of the worker's own variables. */
import { join } from 'node:path';
import {
  type ContractFiles,
  contractArguments,
  contractEnvironment,
  usualEnvironment,
} from '../contract-environment.ts';
import type { LocalRun } from './local-run.ts';
import { fileNames } from './run-files.ts';

/** The only variables that a handler inherits from the worker: never its keys or addresses. */
const inherited = ['PATH', 'HOME', 'USER', 'TMPDIR', 'LANG', 'LC_ALL', 'TZ'] as const;

/** The environment of a handler. The files of the run directory always hold the payload, however large it is. */
export function handlerEnvironment(
  run: LocalRun,
  directory: string,
  worker: NodeJS.ProcessEnv,
): Record<string, string> {
  const environment: Record<string, string> = usualEnvironment(worker);
  for (const name of inherited) {
    const value = worker[name];
    if (value !== undefined) environment[name] = value;
  }
  return {
    ...environment,
    ...run.settings.envVars,
    ...contractEnvironment(run, run.settings, filesOf(run, directory)),
  };
}

/** POP's arguments, for handlers that were built for it. */
export function handlerArguments(run: LocalRun, directory: string): string[] {
  return run.settings.contract === 'pop1' ? contractArguments('local', filesOf(run, directory)) : [];
}

function filesOf(run: LocalRun, directory: string): ContractFiles {
  const at = (name: string) => join(directory, name);
  return {
    payload: at(fileNames.payload),
    ...(run.lastProgress !== undefined && { lastProgress: at(fileNames.lastProgress) }),
    ...(run.report !== undefined && { token: at(fileNames.token) }),
    progress: at(fileNames.progress),
    result: at(fileNames.result),
  };
}

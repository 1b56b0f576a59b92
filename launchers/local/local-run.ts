import { type HandlerRun, LaunchError } from '../launcher.ts';
import type { LocalSettings } from './local-settings.ts';

/** A run of a type that is launched as a process. */
export type LocalRun = HandlerRun<LocalSettings>;

/** The run, when its type is launched as a process. @throws LaunchError `otherLauncher` */
export function localRunOf(run: HandlerRun): LocalRun {
  const { settings, type } = run;
  if (settings.launch === 'local') return { ...run, settings };
  throw new LaunchError('otherLauncher', `The type "${type}" is launched "${settings.launch}", not as a process.`);
}

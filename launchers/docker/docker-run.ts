import { type HandlerRun, LaunchError } from '../launcher.ts';
import type { DockerSettings } from './docker-settings.ts';

/** A run of a type that is launched as a container of this host's engine. */
export type DockerRun = HandlerRun<DockerSettings>;

/** The run, when its type is launched as such a container. @throws LaunchError `otherLauncher` */
export function dockerRunOf(run: HandlerRun): DockerRun {
  const { settings, type } = run;
  if (settings.launch === 'docker') return { ...run, settings };
  throw new LaunchError(
    'otherLauncher',
    `The type "${type}" is launched "${settings.launch}", not as a container of this host.`,
  );
}

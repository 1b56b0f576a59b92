/** Creates the container of a run, and starts it. */
import { LaunchError } from '../launcher.ts';
import { recordNames } from '../run-directory/records.ts';
import { recordOnce } from '../run-directory/run-directories.ts';
import { containerOptions, type EngineSide, payloadTarget } from './container-options.ts';
import type { DockerRun } from './docker-run.ts';
import { type Engine, EngineRefused } from './engine.ts';
import { bootId, readStop } from './run-directory.ts';

/** What it takes to launch. */
export interface LaunchParts extends EngineSide {
  readonly engine: Engine;
}

/**
 * False when there is nothing to start for this caller: the container is there, its image is not, or it must not begin.
 * @throws LaunchError `containerNotStarted`, when the engine can never start it; the reason is in the run directory
 */
export async function launchContainer(parts: LaunchParts, run: DockerRun, directory: string): Promise<boolean> {
  const { engine } = parts;
  let id: string;
  try {
    id = await engine.create(containerOptions(run, directory, parts));
  } catch (error) {
    if (error instanceof EngineRefused && (error.isNameTaken || error.isUnknown)) {
      // A network that is not there is unknown, too.
      if (error.isNameTaken || !(await engine.hasImage(run.settings.image))) return false;
    }
    throw refusal(error, run, directory);
  }
  if (!(await engine.hasFile(id, payloadTarget))) {
    await engine.remove(id);
    throw new Error(
      `The container engine does not see the run directory ${directory}: it must be on the host of this pool worker, ` +
        'and have the directory under the same path; an engine on another host cannot be used.',
    );
  }
  // Whoever stops it either sees the container, or was seen here.
  if (readStop(directory) !== undefined) {
    await engine.remove(id);
    return false;
  }
  try {
    await engine.start(id);
  } catch (error) {
    // Taken over by another, which had waited long for this start.
    if (error instanceof EngineRefused && error.isUnknown && (await engine.inspect(id)) === undefined) return false;
    const reason = refusal(error, run, directory);
    if (error instanceof EngineRefused) await engine.remove(id);
    throw reason;
  }
  recordOnce(directory, recordNames.started, { container: id, boot: bootId() });
  return true;
}

/** What is thrown; recorded when it is for good. */
function refusal(error: unknown, run: DockerRun, directory: string): unknown {
  if (!(error instanceof EngineRefused) || error.isPassing) return error;
  const { image, command } = run.settings;
  const what = command === undefined ? '' : ` with the command ${JSON.stringify(command)}`;
  const message = `The container of ${image}${what} could not be started: ${error.message}`;
  const reason = new LaunchError('containerNotStarted', message, { cause: error });
  recordOnce(directory, recordNames.refused, { code: reason.code, message });
  return reason;
}

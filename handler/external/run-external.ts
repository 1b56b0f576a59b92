/**
 * Runs a tool beside the handler: as a Pod of its own, as a container, or as a process. Its output is followed line by
 * line, its failure is the handler's, and it is gone when this is over, however that comes.
 */
import { HandlerFailure } from '../handler-failure.ts';
import { externalLaunch } from './choose-launch.ts';
import { runContainer } from './container-tool.ts';
import {
  type ExternalEnd,
  type ExternalLaunch,
  type ExternalParts,
  type ExternalTool,
  factsOf,
  nameOf,
  type ToolExit,
  type ToolRun,
} from './external-tool.ts';
import { runPod } from './pod-tool.ts';
import { runProcess } from './process-tool.ts';

const launches: Readonly<Record<ExternalLaunch, (run: ToolRun) => Promise<ToolExit>>> = {
  local: runProcess,
  docker: runContainer,
  kubernetes: runPod,
};
const mostLastLines = 10;
const mostLineCharacters = 2_000;

/**
 * Runs the tool to its end.
 * @throws HandlerFailure `externalFailed` when it fails; the signal's reason when that aborts
 */
export async function runExternal(tool: ExternalTool, parts: ExternalParts): Promise<ExternalEnd> {
  const { fields, signal, log } = parts;
  signal.throwIfAborted();
  const launch = externalLaunch(tool, fields);
  const timeOver = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const lastLines: string[] = [];
  const faults: unknown[] = [];
  const run: ToolRun = {
    ...parts,
    tool,
    signal: AbortSignal.any([signal, timeOver.signal]),
    line: (line) => {
      lastLines.push(line.slice(0, mostLineCharacters));
      if (lastLines.length > mostLastLines) lastLines.shift();
      try {
        if (tool.onLine === undefined) log(line);
        else tool.onLine(line);
      } catch (error) {
        // A parser that throws fails the handler, and the tool must not outlive it.
        faults.push(error);
        timeOver.abort(error);
      }
    },
    waiting: tool.onWaiting ?? ((reason) => log(`${nameOf(tool)} waits: ${reason}`)),
    started: () => {
      if (tool.runSeconds === undefined || timer !== undefined) return;
      const over = tooLong(tool, tool.runSeconds);
      timer = setTimeout(() => timeOver.abort(over), tool.runSeconds * 1_000);
    },
  };
  try {
    const exit = await launches[launch](run);
    if (faults.length > 0) throw faults[0];
    if (exit.exitCode === 0) return { exitCode: 0, lastLines };
    throw failureOf(tool, launch, exit, lastLines);
  } finally {
    clearTimeout(timer);
  }
}

function failureOf(tool: ExternalTool, launch: string, exit: ToolExit, lastLines: readonly string[]): HandlerFailure {
  const { exitCode, reason, message } = exit;
  const how = exitCode === null ? 'was killed' : `ended with exit code ${exitCode}`;
  const why = [reason, message].filter((word) => word !== undefined && word !== '').join(': ');
  return new HandlerFailure(`${nameOf(tool)} ${how}${why === '' ? '' : ` (${why})`}.`, {
    code: 'externalFailed',
    payload: { ...factsOf(tool), launch, exitCode, reason: reason ?? null, lastLines },
  });
}

function tooLong(tool: ExternalTool, seconds: number): HandlerFailure {
  return new HandlerFailure(`${nameOf(tool)} did not end within ${seconds} s and was stopped.`, {
    code: 'externalTimedOut',
    payload: factsOf(tool),
  });
}

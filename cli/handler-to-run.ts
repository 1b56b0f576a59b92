/** What `pop handler run` is to run: a type of the registry, or a program. */
import { accessSync, constants, statSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import type { HandlerSettings, Registry } from '../launchers/registry.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

/** A handler with how it is treated. */
export interface HandlerToRun {
  readonly type: string;
  readonly settings: HandlerSettings;
}

/** By the extension of a program, what runs it. */
const interpreters: Readonly<Record<string, string>> = {
  ...{ '.ts': 'node', '.mts': 'node', '.cts': 'node', '.js': 'node', '.mjs': 'node', '.cjs': 'node' },
  ...{ '.py': 'python3', '.sh': 'sh' },
};

/**
 * The type of this name; else the type whose command names this file; else the file as a program without an entry.
 * @throws CommandError when it is none of these
 */
export async function handlerToRun(named: string, registry: Registry): Promise<HandlerToRun> {
  const settings = registry.types.get(named);
  if (settings !== undefined) return { type: named, settings };
  const file = resolve(named);
  if (!isFile(file)) {
    const known = [...registry.types.keys()].join(', ') || 'none';
    const message = `${named} is no type of ${registry.path} (types: ${known}) and no file`;
    throw new CommandError(exitCodes.usage, message);
  }
  for (const [type, entry] of registry.types) if (isOf(entry, file)) return { type, settings: entry };
  const interpreter = interpreters[extname(file)];
  if (interpreter === undefined && !isExecutable(file))
    throw new CommandError(
      exitCodes.usage,
      `${named} cannot be run: it is not executable, and nothing runs such files`,
    );
  const type = basename(file, extname(file));
  const command = interpreter === undefined ? [file] : [interpreter, file];
  const { parseRegistry } = await import('../launchers/registry.ts');
  const document = { basePodConfig: {}, [type]: { podConfig: { command } } };
  const own = parseRegistry(JSON.stringify(document), resolve('registry.json')).types.get(type);
  if (own === undefined) throw new CommandError(exitCodes.usage, `${type} cannot be the name of a type`);
  return { type, settings: own };
}

function isOf(settings: HandlerSettings, file: string): boolean {
  if (settings.launch !== 'local') return false;
  return settings.command.some((word) => resolve(settings.folder, word) === file);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

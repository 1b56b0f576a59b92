/** What the registry says of a type that is launched as a child process. */
import { resolve } from 'node:path';
import type { Limits } from '../limits.ts';
import { type ProgramFields, type ProgramSettings, programSettings } from '../program-settings.ts';

/** The registry entry of a `launch: "local"` type, all layers resolved. */
export interface LocalSettings extends Limits, ProgramSettings {
  readonly launch: 'local';
  /**
   * Program and its first arguments. A program with a slash is absolute, the word `node` is this Node, others are
   * looked up in PATH.
   */
  readonly command: readonly string[];
  /** The handler's working directory: the registry file's. */
  readonly folder: string;
}

/** The entry of merged layers; undefined without a `command`. */
export function localSettings(fields: ProgramFields, limits: Limits, folder: string): LocalSettings | undefined {
  const [program, ...rest] = fields.command ?? [];
  if (program === undefined) return undefined;
  return {
    launch: 'local',
    ...limits,
    ...programSettings(fields),
    command: [locate(program, folder), ...rest],
    folder,
  };
}

/** As a shell does: a program with a slash is a path, one without is looked up in PATH when it starts. */
function locate(program: string, folder: string): string {
  if (program === 'node') return process.execPath;
  return program.includes('/') ? resolve(folder, program) : program;
}

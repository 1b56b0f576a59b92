export type ProgramName = 'temporal' | 'temporal-test-server';
export interface Program {
  readonly variable: string;
  readonly wheel: string;
  readonly download: string;
  readonly needed: string;
}
export const programs: Readonly<Record<ProgramName, Program>>;
export interface Finding {
  /** Absolute path, when it was found. */
  readonly path?: string;
  /** What was looked at and why it did not serve, in order. */
  readonly tried: readonly string[];
}
/** Looks in the environment variable, PATH and the cache `.pop/bin`; fetches nothing. */
export function findProgram(name: ProgramName): Finding;
/** Where fetched programs are kept. */
export const programCache: string;

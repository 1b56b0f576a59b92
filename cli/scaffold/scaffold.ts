/** What `pop handler new` makes, by language. */
import { python } from './python.ts';
import { shell } from './shell.ts';
import { typescript } from './typescript.ts';

/** The files of a handler in one language. */
export interface Language {
  /** Program and first arguments of the registry entry; the last one is a file of the folder. */
  readonly command: readonly [string, string];
  /** Path in the folder to content. `sdk` is the name of the SDK's file, for those that take it along. */
  readonly files: (name: string, sdk: string) => Readonly<Record<string, string>>;
  /** What the folder takes along of the SDK. */
  readonly sdk: 'package' | 'pythonModule' | 'none';
  /** From the folder to the first success, in this order. */
  readonly commands: readonly string[];
}

/** The languages by name. */
export const languages = { typescript, python, shell } as const satisfies Readonly<Record<string, Language>>;

/** One of `languages`. */
export type LanguageName = keyof typeof languages;

/** The registry field `commands`: whole command lines that a handler of the type may run for whoever submits. */
import { z } from 'zod';
import { fitsVariable, tooLargeForVariable } from './variable-bytes.ts';

/**
 * One command line. `args` may hold placeholders `{name}`, at most one in each; handler/allowed-commands.ts matches
 * against it.
 */
export interface AllowedCommand {
  /** An absolute path, or a word that is looked up in PATH. */
  readonly program: string;
  readonly args: readonly string[];
  /** Name to regular expression, which a value must match as a whole. */
  readonly placeholders: Readonly<Record<string, string>>;
}

const placeholder = /\{([A-Za-z][A-Za-z0-9_]*)\}/g;
const text = z.string().regex(/^[^\0]*$/, 'must not contain a NUL character');

const commandSchema = z
  .strictObject({
    program: text.min(1),
    args: z.array(text).default([]),
    placeholders: z
      .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'is not a name: letters, digits and _'), text)
      .default({}),
  })
  .superRefine(({ program, args, placeholders }, context) => {
    const fault = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (program.includes('/') && !program.startsWith('/')) {
      fault(['program'], `"${program}" must be an absolute path, or a word that is looked up in PATH`);
    }
    if ([...program.matchAll(placeholder)].length > 0) fault(['program'], 'a program is named, never a placeholder');
    const used = new Set<string>();
    for (const [index, arg] of args.entries()) {
      const names = [...arg.matchAll(placeholder)].map(([, name = '']) => name);
      if (names.length > 1)
        fault(['args', index], `"${arg}" holds ${names.length} placeholders; an argument may hold one`);
      for (const name of names) {
        used.add(name);
        if (!Object.hasOwn(placeholders, name)) fault(['args', index], `"placeholders" has no pattern for {${name}}`);
      }
    }
    for (const [name, pattern] of Object.entries(placeholders)) {
      if (!used.has(name)) fault(['placeholders', name], `no argument holds {${name}}; it would do nothing`);
      try {
        new RegExp(pattern, 'u');
      } catch (error) {
        fault(['placeholders', name], error instanceof Error ? error.message : String(error));
      }
    }
  });

/** Of the registry file; unreadable patterns, unknown and unused placeholders are faults. */
export const commandsSchema = z.array(commandSchema).refine(fitsVariable, tooLargeForVariable);

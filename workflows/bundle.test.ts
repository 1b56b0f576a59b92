import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type Logger, type LogLevel } from '@temporalio/worker';
import { expect, test } from 'vitest';

const mostBytesOfOurs = 400 * 1024;

interface Bundle {
  readonly code: string;
  readonly warnings: readonly string[];
}

async function bundle(workflowsPath: string): Promise<Bundle> {
  const warnings: string[] = [];
  const log = (level: LogLevel, message: string) => {
    if (level === 'WARN' || level === 'ERROR') warnings.push(message);
    // webpack's own warnings come as part of its report.
    else if (/warning/i.test(message)) warnings.push(message);
  };
  const logger: Logger = {
    log,
    trace: (message) => log('TRACE', message),
    debug: (message) => log('DEBUG', message),
    info: (message) => log('INFO', message),
    warn: (message) => log('WARN', message),
    error: (message) => log('ERROR', message),
  };
  return { code: withoutMap((await bundleWorkflowCode({ workflowsPath, logger })).code), warnings };
}

const withoutMap = (code: string): string => code.replace(/^\/\/# sourceMappingURL=.*$/gm, '');

/** Modules in a bundle, by the paths webpack names them with. */
const modulesOf = (code: string): string[] =>
  [...code.matchAll(/^\s*\/\*\*\*\/ "([^"]+)"/gm)].map((match) => match[1] ?? '');

test('the workflows bundle without a warning, without zod or Node built-ins, and stay small', async () => {
  // Inside the project: the bundler finds the SDK from there.
  const cache = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url));
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, 'bundle-test-'));
  try {
    await writeFile(join(directory, 'empty.js'), 'export async function empty() {}\n');
    const ours = await bundle(fileURLToPath(new URL('index.ts', import.meta.url)));
    const empty = await bundle(join(directory, 'empty.js'));
    expect(ours.warnings).toEqual([]);
    const modules = modulesOf(ours.code);
    expect(modules.some((module) => module.includes('workflows/agenda-workflow.ts'))).toBe(true);
    expect(
      modules.filter(
        (module) => /node_modules\/(?!@temporalio\/)/.test(module) && !modulesOf(empty.code).includes(module),
      ),
    ).toEqual([]);
    expect(
      modules.filter(
        (module) => module.startsWith('node:') || builtinModules.includes(module.replace(/^external "|"$/g, '')),
      ),
    ).toEqual(modulesOf(empty.code).filter((module) => module.startsWith('node:') || builtinModules.includes(module)));
    expect(ours.code).not.toMatch(/\bzod\b/i);
    expect(ours.code.length - empty.code.length).toBeLessThan(mostBytesOfOurs);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}, 120_000);

/** `pop handler new`: a handler to begin with, its test, its image and its registry entry. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { usualRegistry } from '../chosen-registry.ts';
import type { CommandSpec } from '../command.ts';
import { CommandError, type ExitCode, exitCodes } from '../exit-codes.ts';
import { placeSdk } from '../scaffold/place-sdk.ts';
import { emptyRegistry, withType } from '../scaffold/registry-entry.ts';
import { type Language, type LanguageName, languages } from '../scaffold/scaffold.ts';

interface NewOptions {
  readonly language: LanguageName;
  readonly registry: string;
}

/** Good as a folder, a type, a package and an image. */
const goodName = /^[A-Za-z][A-Za-z0-9-]{0,63}$/;

async function run(command: Command): Promise<ExitCode> {
  const { language: chosen, registry: registryFile } = command.opts<NewOptions>();
  const [name = ''] = command.args;
  const language: Language = languages[chosen];
  const folder = resolve(name);
  if (!goodName.test(name))
    throw new CommandError(exitCodes.usage, `${name} is no good name: letters, digits and -, a letter first, up to 64`);
  if (existsSync(folder)) throw new CommandError(exitCodes.usage, `${folder} is there already; nothing was made`);
  const registry = await readRegistryText(registryFile, name);
  // Whole or not at all.
  const made = join(dirname(folder), `.${name}-${process.pid}`);
  mkdirSync(made);
  try {
    const sdk = await placeSdk(language.sdk, made);
    for (const [path, content] of Object.entries(language.files(name, sdk))) writeFileSync(join(made, path), content);
    const [program, file] = language.command;
    const inFolder = relative(dirname(resolve(registryFile)), join(folder, file));
    const added = `${registryFile}.${process.pid}`;
    writeFileSync(added, withType(registry, name, [program, inFolder]));
    renameSync(made, folder);
    renameSync(added, registryFile);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  console.log(`Made ${name}/, and the type ${name} in ${registryFile}. Next:\n`);
  for (const line of [`cd ${name}`, ...language.commands]) console.log(`  ${line}`);
  return exitCodes.done;
}

/** The text of the registry that the type is added to. @throws CommandError when it cannot be added */
async function readRegistryText(path: string, type: string): Promise<string> {
  if (!existsSync(path)) return emptyRegistry;
  const { parseRegistry, RegistryError } = await import('../../launchers/registry.ts');
  const text = readFileSync(path, 'utf8');
  try {
    const { types } = parseRegistry(text, path);
    if (!types.has(type) && type !== 'basePodConfig') return text;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new CommandError(exitCodes.usage, `${error.message}\nNothing was made.`, { cause: error });
  }
  throw new CommandError(exitCodes.usage, `${path} has the type ${type} already; nothing was made`);
}

/** `pop handler new` */
export const handlerNew: CommandSpec = {
  examples: [
    { line: 'pop handler new resize', does: 'in TypeScript: ./resize/, and an entry in ./registry.json' },
    { line: 'pop handler new resize --language python', does: 'in Python' },
    { line: 'pop handler new resize --language shell', does: 'in shell' },
  ],
  description:
    'Makes a folder with a handler, its test, a payload to try it with, a Dockerfile and a README, and adds its type ' +
    'to the registry, which is made where there is none. What is there already is never overwritten.',
  declare: (command) =>
    command
      .argument('<name>', 'of the folder and the Operation type')
      .addOption(
        new Option('--language <language>', 'what it is written in')
          .choices(Object.keys(languages))
          .default('typescript'),
      )
      .option('--registry <file>', 'the registry that its type is added to', usualRegistry),
  run,
};

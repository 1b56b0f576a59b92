/**
 * From the words of a call to its exit code. The words are followed down the tree of commands first, so that only the
 * command that is asked for is loaded; commander, which knows the options of that one, does the rest.
 */
import { Command, CommanderError } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import type { CommandSpec, Example } from './command.ts';
import type { CommandEntry, CommandGroup } from './command-tree.ts';
import { type ExitCode, exitCodeOf, exitCodes, exitCodesHelp } from './exit-codes.ts';

/** Does what the words after `pop` say. */
export async function runPop(tree: CommandGroup, words: readonly string[]): Promise<ExitCode> {
  const call = readCall(tree, words);
  const done: { code: ExitCode } = { code: exitCodes.done };
  const program = addGroup(new Command('pop'), tree, call, done);
  program.addHelpText('after', `\n${exitCodesHelp}`);
  program.version(manifest.version, '--version', 'print the version');
  program.helpCommand('help [command...]', 'print this, or the help of a command');
  try {
    if (call.entry !== undefined) fill(commandAt(program, call.path), await call.entry.load(), done);
    await program.parseAsync([...call.words], { from: 'user' });
    return done.code;
  } catch (error) {
    // Commander has said what is wrong by then, or printed what was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    console.error(`${nameOf(call.path)}: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodeOf(error);
  }
}

interface Call {
  /** Names of groups and of the command, as far as they are known. */
  readonly path: readonly string[];
  /** Undefined when the words lead to a group, or nowhere. */
  readonly entry: CommandEntry | undefined;
  /** What commander is given. */
  readonly words: readonly string[];
}

/** `pop help key` is `pop key --help`; of a name that is not known no help is given, it is said to be unknown. */
function readCall(tree: CommandGroup, words: readonly string[]): Call {
  const asksHelp = words[0] === 'help';
  const given = asksHelp ? words.slice(1) : words;
  const path: string[] = [];
  let at: CommandGroup | CommandEntry = tree;
  for (const word of given) {
    if (!('commands' in at)) break;
    const next: CommandGroup | CommandEntry | undefined = Object.hasOwn(at.commands, word)
      ? at.commands[word]
      : undefined;
    if (next === undefined) {
      if (!word.startsWith('-')) return { path, entry: undefined, words: [...path, word] };
      break;
    }
    path.push(word);
    at = next;
  }
  const entry = 'commands' in at ? undefined : at;
  if (asksHelp || given.length === 0) return { path, entry, words: [...path, '--help'] };
  return { path, entry, words: given };
}

const nameOf = (path: readonly string[]): string => ['pop', ...path].join(' ');

function addGroup(command: Command, group: CommandGroup, call: Call, done: { code: ExitCode }, depth = 0): Command {
  speakPlainly(command, depth === 0 ? 'command' : 'action');
  command.summary(group.summary).description(`${group.summary[0]?.toUpperCase()}${group.summary.slice(1)}.`);
  command.helpOption('-h, --help', 'print this').helpCommand(false);
  command.addHelpText('before', examplesText(group.examples));
  const known = Object.keys(group.commands).join(', ');
  command.addHelpText('after', ({ error }) =>
    error ? `\n${pathOf(command)}: an action is missing; known: ${known}` : '',
  );
  for (const [name, child] of Object.entries(group.commands)) {
    const added = command.command(name);
    if ('commands' in child) addGroup(added, child, call, done, depth + 1);
    else speakPlainly(added.summary(child.summary).helpOption('-h, --help', 'print this'), 'command');
  }
  return command;
}

function fill(command: Command, spec: CommandSpec, done: { code: ExitCode }): void {
  command.description(spec.description).addHelpText('before', examplesText(spec.examples));
  command.allowExcessArguments(false);
  spec.declare?.(command);
  command.action(async () => {
    done.code = await spec.run(command);
  });
}

function commandAt(program: Command, path: readonly string[]): Command {
  return path.reduce((at, name) => at.commands.find((command) => command.name() === name) ?? at, program);
}

/** Says which command complains, in our words where commander's are others, and throws instead of exiting. */
function speakPlainly(command: Command, kind: 'command' | 'action'): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) =>
      write(
        text
          .replace(/^error: /, `${pathOf(command)}: `)
          .replace(
            /unknown command '([^\n]*)'/,
            `there is no ${kind} "$1"; ${pathOf(command).replace('pop', 'pop help')} lists them`,
          ),
      ),
  });
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function examplesText(examples: readonly Example[]): string {
  const width = Math.max(...examples.map(({ line }) => line.length));
  // What is long stands above what it does, so that lines stay whole and can be copied.
  const lines = examples.map(({ line, does }) =>
    width > 60 ? `  # ${does}\n  ${line}` : `  ${line.padEnd(width)}   # ${does}`,
  );
  return `Examples:\n${lines.join('\n')}\n`;
}

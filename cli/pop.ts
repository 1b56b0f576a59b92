#!/usr/bin/env node
/** The `pop` command. */
import manifest from '../package.json' with { type: 'json' };
import { up, upHelp } from './commands/up.ts';

interface Command {
  readonly summary: string;
  readonly help: string;
  /** Resolves to the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  up: { summary: 'run a whole system on this machine', help: upHelp, run: up },
  version: {
    summary: 'print the version',
    help: 'pop version',
    run: async () => {
      console.log(manifest.version);
      return 0;
    },
  },
  help: {
    summary: 'print this, or the options of a command',
    help: 'pop help [command]',
    run: async ([name]) => help(name),
  },
};

async function help(name: string | undefined): Promise<number> {
  if (name === undefined) {
    console.log(`pop ${manifest.version}\n`);
    for (const [command, { summary }] of Object.entries(commands))
      console.log(`  pop ${command.padEnd(10)} ${summary}`);
    return 0;
  }
  const command = commands[name];
  if (command === undefined) return unknown(name);
  console.log(command.help);
  return 0;
}

async function unknown(name: string): Promise<number> {
  console.error(`pop: there is no command "${name}"; pop help lists them`);
  return 2;
}

const [name = 'help', ...args] = process.argv.slice(2);
const asked = name === '--help' || name === '-h' ? 'help' : name === '--version' ? 'version' : name;
try {
  if (args.includes('--help') || args.includes('-h')) process.exitCode = await help(asked);
  else
    process.exitCode = await (Object.hasOwn(commands, asked) ? (commands[asked] as Command).run(args) : unknown(asked));
} catch (error) {
  console.error(`pop ${asked}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

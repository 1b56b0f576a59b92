#!/usr/bin/env node
/** The `pop` command. */
import manifest from '../package.json' with { type: 'json' };
import type { Command } from './command.ts';

/** Loads one command, and so only what that one needs: a whole system, a worker, the database, or nothing. */
interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const commands: Readonly<Record<string, CommandEntry>> = {
  up: { summary: 'run a whole system on this machine', load: async () => (await import('./commands/up.ts')).up },
  installation: {
    summary: 'give a copied database an id of its own',
    load: async () => (await import('./commands/installation.ts')).installation,
  },
  key: {
    summary: 'replace the key of the tokens of launches',
    load: async () => (await import('./commands/key-rotate-launch-tokens.ts')).key,
  },
  version: {
    summary: 'print the version',
    load: async () => ({
      help: 'pop version',
      run: async () => {
        console.log(manifest.version);
        return 0;
      },
    }),
  },
  help: {
    summary: 'print this, or the options of a command',
    load: async () => ({ help: 'pop help [command]', run: async ([name]) => help(name) }),
  },
};

const commandOf = (name: string): CommandEntry | undefined =>
  Object.hasOwn(commands, name) ? commands[name] : undefined;

async function help(name: string | undefined): Promise<number> {
  if (name === undefined) {
    console.log(`pop ${manifest.version}\n`);
    for (const [command, { summary }] of Object.entries(commands))
      console.log(`  pop ${command.padEnd(14)} ${summary}`);
    return 0;
  }
  const command = commandOf(name);
  if (command === undefined) return unknown(name);
  console.log((await command.load()).help);
  return 0;
}

async function unknown(name: string): Promise<number> {
  console.error(`pop: there is no command "${name}"; pop help lists them`);
  return 2;
}

const [name = 'help', ...args] = process.argv.slice(2);
const asked = name === '--help' || name === '-h' ? 'help' : name === '--version' ? 'version' : name;
try {
  const command = commandOf(asked);
  if (command === undefined) process.exitCode = await unknown(asked);
  else if (args.includes('--help') || args.includes('-h')) process.exitCode = await help(asked);
  else process.exitCode = await (await command.load()).run(args);
} catch (error) {
  console.error(`pop ${asked}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/** `npm run cluster -- up|down|build`: a cluster to try things on by hand. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { identify, isAlive } from '../../../launchers/local/process-identity.ts';
import type { ProcessIdentity } from '../../../launchers/local/run-files.ts';
import { startCluster } from './cluster.ts';
import type { ClusterFacts } from './facts.ts';
import { missingForNode, provideNodeNeeds } from './node-needs.ts';
import { importUsualImages } from './real-node.ts';
import { allTools, missingGo, provideTools, toolsFolder } from './tools.ts';

const help = `npm run cluster -- <command>

  up      builds what is missing, starts a cluster that stays, and prints the path of its kubeconfig;
          with a real node where that can be had (root on Linux), else with nodes on paper only
  down    ends it
  build   builds all programs (kubectl, too), and prints their folder`;

const home = resolve(process.env.POP_HOME ?? fileURLToPath(new URL('../../../.pop', import.meta.url)));
const stateFile = join(home, 'cluster.json');
const logFile = join(home, 'cluster.log');

/** The cluster that stays. */
interface State {
  readonly holder: ProcessIdentity;
  readonly facts: ClusterFacts;
}

function say(line: string): void {
  console.error(`cluster: ${line}`);
}

function readState(): State | undefined {
  if (!existsSync(stateFile)) return undefined;
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as State;
  return isAlive(state.holder) ? state : undefined;
}

async function up(): Promise<void> {
  const running = readState();
  if (running !== undefined) say('it runs already');
  else await build();
  const { facts } = running ?? (await startHolder());
  if (facts.realNode !== undefined) say('Pods run on the real node when they tolerate its taint pop.test/nodes=real');
  else say(`no real node: ${missingForNode()}`);
  say(`kubectl: ${join(toolsFolder(), 'kubectl')}; logs: ${facts.directory}/logs; npm run cluster -- down ends it`);
  console.log(facts.kubeconfig);
}

async function build(): Promise<void> {
  const noGo = await missingGo();
  if (noGo !== undefined) throw new Error(noGo);
  await provideTools(allTools, say);
}

/** A process that outlives this one; all parts end with it. */
async function startHolder(): Promise<State> {
  if (missingForNode() === undefined) await provideNodeNeeds(say);
  mkdirSync(home, { recursive: true });
  rmSync(stateFile, { force: true });
  const log = openSync(logFile, 'w');
  const holder = spawn(process.execPath, [fileURLToPath(import.meta.url), 'hold'], {
    stdio: ['ignore', log, log],
    detached: true,
  });
  say('starting');
  for (;;) {
    const state = readState();
    if (state !== undefined) {
      holder.unref();
      return state;
    }
    if (holder.exitCode !== null || holder.signalCode !== null)
      throw new Error(`it did not start:\n${readFileSync(logFile, 'utf8')}`);
    await delay(100);
  }
}

/** What the process that outlives `up` does. */
async function hold(): Promise<void> {
  const asked = new Promise((end) => process.once('SIGTERM', end));
  await using cluster = await startCluster({ realNode: missingForNode() === undefined, say });
  if (cluster.facts.realNode !== undefined) await importUsualImages(cluster.facts);
  const state = { holder: identify(process.pid), facts: cluster.facts };
  // Whole or not at all; it holds the administrator's token.
  writeFileSync(`${stateFile}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${stateFile}.new`, stateFile);
  // A promise alone keeps no process alive.
  const alive = setInterval(() => undefined, 60_000);
  await asked;
  clearInterval(alive);
  rmSync(stateFile, { force: true });
}

async function down(): Promise<void> {
  const state = readState();
  if (state === undefined) return say('none runs');
  process.kill(state.holder.pid, 'SIGTERM');
  while (isAlive(state.holder)) await delay(50);
  say('ended');
}

const commands: Readonly<Record<string, () => Promise<void>>> = {
  up,
  down,
  hold,
  async build() {
    await build();
    console.log(toolsFolder());
  },
};

const command = commands[process.argv[2] ?? ''];
if (command === undefined) {
  console.error(help);
  process.exitCode = 2;
} else {
  try {
    await command();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}

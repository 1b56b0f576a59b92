/**
 * The programs of a cluster, built from source by the Go that the machine has: go.mod and go.sum beside this file pin
 * every line of it, and no binary lies in the repository. They are kept outside of the clone, for building takes tens
 * of minutes where one has few cores; a folder is named after all that decides what is in it.
 */

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));

/** The release of Kubernetes that go.mod names; without it the programs say that they are v0.0.0. */
export const kubernetesVersion = '1.34.4';

/** Where a program comes from. */
export interface Source {
  /** What `go build` is given. */
  readonly package: string;
  /** The folder with the go.mod that pins it. */
  readonly module: string;
}

const ofKubernetes = (name: string): Source => ({ package: `k8s.io/kubernetes/cmd/${name}`, module: here });

/** Where each program comes from. kwok needs other versions of the same libraries, so it has a module of its own. */
const sources = {
  etcd: { package: 'go.etcd.io/etcd/server/v3', module: here },
  'kube-apiserver': ofKubernetes('kube-apiserver'),
  kwok: { package: 'sigs.k8s.io/kwok/cmd/kwok', module: join(here, 'kwok') },
  'kube-scheduler': ofKubernetes('kube-scheduler'),
  'kube-controller-manager': ofKubernetes('kube-controller-manager'),
  kubelet: ofKubernetes('kubelet'),
  kubectl: ofKubernetes('kubectl'),
} satisfies Record<string, Source>;

/** The name of a program of the cluster. */
export type Tool = keyof typeof sources;

/** All of them, those that others wait for first. */
export const allTools = Object.keys(sources) as Tool[];

const versionVariable = 'k8s.io/component-base/version';
const [major = '', minor = ''] = kubernetesVersion.split('.');
const buildFlags = [
  '-ldflags',
  `-s -w -X ${versionVariable}.gitVersion=v${kubernetesVersion} ` +
    `-X ${versionVariable}.gitMajor=${major} -X ${versionVariable}.gitMinor=${minor}`,
];
/** No C compiler is needed, and the same sources give the same bytes in every clone. */
const buildEnvironment = { CGO_ENABLED: '0', GOFLAGS: '-trimpath -buildvcs=false', GOWORK: 'off' };

/** The folder of the programs; need not be there yet. */
export function toolsFolder(): string {
  return folderFor('cluster', [here, join(here, 'kwok')]);
}

/** The folder of programs that these modules pin. */
function folderFor(what: string, modules: readonly string[]): string {
  const hash = createHash('sha256');
  for (const module of modules) for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  hash.update(JSON.stringify([buildFlags, buildEnvironment, process.platform, process.arch]));
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  return join(caches, 'pop', `${what}-${hash.digest('hex').slice(0, 12)}`);
}

/** A program that is no part of the cluster: builds it if need be, and answers its path. @throws as `provideTools` */
export async function provideProgram(name: string, source: Source, say: (line: string) => void): Promise<string> {
  const folder = folderFor(name, [source.module]);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  if (existsSync(path)) return path;
  say(`building ${name} with Go into ${folder} (the first time takes minutes; later builds find it there)`);
  await build(name, source, folder);
  return path;
}

/** Path of a program that `provideTools` has made. */
export function toolPath(tool: Tool): string {
  return join(toolsFolder(), tool);
}

/** Why this machine can have no cluster, in words for people: the programs are not built, and cannot be. */
export async function missingForCluster(): Promise<string | undefined> {
  if (allTools.every((tool) => existsSync(toolPath(tool)))) return undefined;
  try {
    await run('go', ['version']);
    return undefined;
  } catch (error) {
    return `the cluster is built by Go, and \`go version\` fails (${(error as NodeJS.ErrnoException).code ?? error})`;
  }
}

/**
 * Builds those of the programs that are not there yet, and says how long each took.
 * @throws when a build fails; its messages are in the error.
 */
export async function provideTools(wanted: readonly Tool[], say: (line: string) => void): Promise<void> {
  const folder = toolsFolder();
  mkdirSync(folder, { recursive: true });
  for (const tool of wanted) {
    if (existsSync(join(folder, tool))) continue;
    say(`building ${tool} with Go into ${folder} (the first time takes minutes; later builds find it there)`);
    const begun = Date.now();
    await build(tool, sources[tool], folder);
    say(`${tool} built in ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  }
}

/** Whole or not at all; two runs at once wait for each other, and the second finds it done or nearly so. */
async function build(tool: string, { package: name, module }: Source, folder: string): Promise<void> {
  const fresh = join(folder, `.${tool}-${process.pid}`);
  const command = ['go', 'build', ...buildFlags, '-o', fresh, name];
  const [program = '', ...flags] =
    process.platform === 'linux' ? ['flock', join(folder, '.lock'), ...command] : command;
  try {
    await runBuild(program, flags, module);
    renameSync(fresh, join(folder, tool));
  } finally {
    rmSync(fresh, { force: true });
  }
}

function runBuild(command: string, args: readonly string[], directory: string): Promise<void> {
  const environment = { ...process.env, ...buildEnvironment };
  const child = spawn(command, args, { cwd: directory, env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = `${errors}${chunk.toString()}`.slice(-8000);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${[command, ...args].join(' ')} failed in ${directory} (exit code ${code}):\n${errors}`));
    });
  });
}

/** kubectl as a user types it, on the suite's cluster, and the manifests that it makes of k8s/deploy. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type KubernetesObject, loadAllYaml } from '@kubernetes/client-node';
import { provideTools, toolPath } from './cluster/tools.ts';
import { sharedCluster } from './shared-cluster.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** What it prints. @throws with what it complains of */
export async function kubectl(...args: readonly string[]): Promise<string> {
  await provideTools(['kubectl'], console.log);
  const { kubeconfig } = sharedCluster();
  const options = { cwd: root, env: { ...process.env, KUBECONFIG: kubeconfig }, maxBuffer: 32 * 1024 * 1024 };
  const { stdout } = await run(toolPath('kubectl'), [...args], options);
  return stdout;
}

/** The manifests of a folder of the clone, as text. */
export const render = (folder: string): Promise<string> => kubectl('kustomize', folder);

/** The objects of manifests. */
export const objectsOf = (manifests: string): KubernetesObject[] =>
  loadAllYaml(manifests).filter((object): object is KubernetesObject => object !== null && object !== undefined);

/** A folder with a kustomization of a test; it goes with its scope. */
export interface Kustomization extends AsyncDisposable {
  readonly path: string;
}

/** Writes one; `of` names folders of the clone as this kustomization has to. */
export async function kustomization(make: (of: (folder: string) => string) => object): Promise<Kustomization> {
  const path = await mkdtemp(join(tmpdir(), 'pop-kustomize-'));
  const body = make((folder) => relative(path, join(root, folder)));
  await writeFile(join(path, 'kustomization.yaml'), JSON.stringify(body));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

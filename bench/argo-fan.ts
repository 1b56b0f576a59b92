/**
 * The Argo Workflows controller on the cluster of `bench:pods`: the same fan as a Workflow. It is built by Go from the
 * modules that `bench/argo/go.mod` pins. It runs as whoever installs it has it, which asks the API server 20 times a
 * second, or as often as it likes.
 *
 * Nothing runs in Pods on paper, so Argo's executor does not, either, which would report the outputs of each Pod to the
 * API server. Its `wait` containers end with exit code 1, by which the controller knows not to wait for that report.
 * This and all else is in Argo's favour: it keeps no logs, and leaves its Pods where they are.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CustomObjectsApi,
  KubernetesObjectApi,
  loadYaml,
  type V1CustomResourceDefinition,
} from '@kubernetes/client-node';
import { type Cluster, untilAccount } from '../test/kubernetes/cluster/cluster.ts';
import { clientConfig } from '../test/kubernetes/cluster/facts.ts';
import { Part } from '../test/kubernetes/cluster/part.ts';
import { provideProgram } from '../test/kubernetes/cluster/tools.ts';

const run = promisify(execFile);
const module = fileURLToPath(new URL('argo', import.meta.url));
const source = { package: 'github.com/argoproj/argo-workflows/v3/cmd/workflow-controller', module };
const kinds = ['workflows', 'workflowtemplates', 'cronworkflows', 'clusterworkflowtemplates', 'workflowtasksets'];
const otherKinds = ['workflowtaskresults', 'workflowartifactgctasks', 'workfloweventbindings'];
const namespace = 'argo';
const group = { group: 'argoproj.io', version: 'v1alpha1', namespace, plural: 'workflows' };
const longestMilliseconds = 600_000;

interface Workflow {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly phase?: string; readonly message?: string };
}

/** How often a controller may ask. */
export type ArgoPace = 'as installed' | 'unbounded';

/** A controller that works; it ends with its scope. */
export class ArgoFan implements AsyncDisposable {
  readonly #controllers: Readonly<Record<ArgoPace, Part>>;
  readonly #api: CustomObjectsApi;
  #running: Part | undefined;

  private constructor(controllers: Readonly<Record<ArgoPace, Part>>, api: CustomObjectsApi) {
    this.#controllers = controllers;
    this.#api = api;
  }

  /** Builds it if need be, and makes its kinds known to the cluster. */
  static async prepare(cluster: Cluster, say: (line: string) => void): Promise<ArgoFan> {
    const program = await provideProgram('argo-workflow-controller', source, say);
    const { stdout } = await run('go', ['list', '-m', '-f', '{{.Dir}}', 'github.com/argoproj/argo-workflows/v3'], {
      cwd: module,
      env: { ...process.env, GOWORK: 'off' },
    });
    const objects = KubernetesObjectApi.makeApiClient(clientConfig(cluster.facts));
    for (const kind of [...kinds, ...otherKinds]) {
      const file = join(stdout.trim(), 'manifests/base/crds/minimal', `argoproj.io_${kind}.yaml`);
      await objects.create(loadYaml<V1CustomResourceDefinition>(await readFile(file, 'utf8')));
    }
    await cluster.api.createNamespace({ body: { metadata: { name: namespace } } });
    await untilAccount(cluster.api, namespace);
    const metadata = { name: 'workflow-controller-configmap' };
    const data = { metricsConfig: 'enabled: false\n', telemetryConfig: 'enabled: false\n' };
    await cluster.api.createNamespacedConfigMap({ namespace, body: { metadata, data } });
    const controller = (pace: ArgoPace, limits: readonly string[]) =>
      new Part({
        name: `argo-${pace.replace(' ', '-')}`,
        command: [
          program,
          ...['--kubeconfig', cluster.facts.kubeconfig, '--namespace', namespace, '--namespaced'],
          ...['--executor-image', 'none', '--loglevel', 'warn', ...limits],
        ],
        logFile: join(cluster.facts.directory, 'logs', 'argo.log'),
        environment: { ...process.env, LEADER_ELECTION_DISABLE: 'true' },
        // It says nothing that can be waited for: the first fan, which is not counted, waits for it.
        isReady: async () => true,
      });
    const controllers = {
      'as installed': controller('as installed', []),
      unbounded: controller('unbounded', ['--qps', '500', '--burst', '1000']),
    };
    return new ArgoFan(controllers, clientConfig(cluster.facts).makeApiClient(CustomObjectsApi));
  }

  /** From now on this one works, and no other. */
  async run(pace: ArgoPace): Promise<void> {
    await this.#running?.kill();
    this.#running = this.#controllers[pace];
    await this.#running.start();
  }

  /** Pods a second, from the submission to the success of the whole Workflow. */
  async fan(width: number): Promise<number> {
    const begun = performance.now();
    const made = (await this.#api.createNamespacedCustomObject({ ...group, body: workflow(width) })) as Workflow;
    const { name } = made.metadata;
    await this.#untilSucceeded(name);
    const rate = (width * 1_000) / (performance.now() - begun);
    await this.#api.deleteNamespacedCustomObject({ ...group, name });
    return rate;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.kill();
  }

  async #untilSucceeded(name: string): Promise<void> {
    const giveUp = performance.now() + longestMilliseconds;
    while (performance.now() < giveUp) {
      // The list without what is in it: all nodes of a Workflow would be megabytes, several times a second.
      const list = (await this.#api.listNamespacedCustomObject({
        ...group,
        fieldSelector: `metadata.name=${name}`,
        labelSelector: 'workflows.argoproj.io/completed=true',
      })) as { readonly items: readonly Workflow[] };
      const phase = list.items[0]?.status?.phase;
      if (phase === 'Succeeded') return;
      if (phase !== undefined) throw new Error(`Argo's Workflow ended ${phase}: ${list.items[0]?.status?.message}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`Argo's Workflow did not end within ${longestMilliseconds} ms.`);
  }
}

function workflow(width: number) {
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Workflow',
    metadata: { generateName: 'fan-' },
    spec: {
      entrypoint: 'fan',
      templates: [
        { name: 'fan', steps: [[{ name: 'step', template: 'one', withSequence: { count: String(width) } }]] },
        {
          name: 'one',
          metadata: { annotations: { 'pop.test/exit-code-of-wait': '1' } },
          container: { image: 'none', command: ['true'] },
        },
      ],
    },
  };
}

/** Sees every Pod that a namespace ever has, by a watch of its own. */
import { type V1Pod, Watch } from '@kubernetes/client-node';
import { type ClusterFacts, clientConfig } from './cluster/facts.ts';

/** A Pod that was seen, with the launch that it is of. */
export interface SeenPod {
  readonly uid: string;
  readonly name: string;
  /** Of the five that name the launch, as JSON; undefined: it is none of POP's. */
  readonly launch: string | undefined;
}

/** A bare watch, from the namespace's first Pod on. One that breaks off fails the test: it would miss Pods. */
export class PodWitness implements AsyncDisposable {
  readonly #seen = new Map<string, SeenPod>();
  #controller: AbortController | undefined;
  #trouble: unknown;

  /** Begins, before there is any Pod in the namespace. */
  static async begin(facts: ClusterFacts, namespace: string): Promise<PodWitness> {
    const witness = new PodWitness();
    const take = (type: string, { metadata }: V1Pod) => {
      if (type === 'ADDED' && metadata?.uid !== undefined)
        witness.#seen.set(metadata.uid, {
          uid: metadata.uid,
          name: metadata.name ?? '',
          launch: metadata.annotations?.['pop.fence'],
        });
    };
    witness.#controller = await new Watch(clientConfig(facts)).watch(
      `/api/v1/namespaces/${namespace}/pods`,
      { timeoutSeconds: 3_600 },
      take,
      (error) => {
        witness.#trouble = error ?? new Error('The watch of the test ended.');
      },
    );
    return witness;
  }

  /** Every Pod so far. @throws when it may have missed one */
  get seen(): readonly SeenPod[] {
    if (this.#trouble !== undefined) throw new Error('The witness did not see all Pods.', { cause: this.#trouble });
    return [...this.#seen.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller?.abort();
  }
}

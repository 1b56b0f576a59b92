/**
 * Where the Pods of a type go: the pool's own namespace, another one, or one for each Customer, which is made when its
 * first Pod comes: under a name made from the Customer's id, or the one that the Customer was given. One that is there
 * already is used only with our mark for that very Customer.
 */
import { quoted } from '../agenda/cut.ts';
import type { JsonObject } from '../agenda/types.ts';
import { LaunchError } from '../launchers/launcher.ts';
import { namespaceFault } from '../messages/customer-namespace.ts';
import { isNotFound, isTaken } from './api-errors.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { hashOf, labels, labelValue, slugOf } from './names.ts';
import { NamespaceMarks } from './namespace-marks.ts';
import type { ObjectMeta } from './pod.ts';
import type { KubernetesRun } from './pod-spec.ts';

/** What a new namespace gets; `{customer}` and `{namespace}` in its texts are filled in. */
export interface NamespaceTemplate {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** ResourceQuota, LimitRange, NetworkPolicy, ServiceAccount and the like, with the path of their kind. */
  readonly objects: readonly { readonly path: string; readonly object: JsonObject }[];
}

/** What decides where Pods go. */
export interface CustomerNamespacesOptions {
  readonly api: KubernetesApi;
  /** Value of the label that tells pools apart. */
  readonly pool: string;
  readonly template: NamespaceTemplate;
  /** True when some type has a namespace of its own, or one for each Customer: then all of the cluster is watched. */
  readonly watchesAll: boolean;
  /** Namespaces that types name as they are, by the registry as it is now. */
  readonly named?: () => Iterable<string>;
  /** Told once per namespace of a Pod with our labels that is not where Pods of this pool may be. */
  readonly onStranger?: (error: Error) => void;
  /** How a namespace may begin that a Customer was given; absent: as those that the registry's entry makes. */
  readonly prefixes?: readonly string[];
}

interface Namespace {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
}

/** What of a Pod says whose it is. */
interface Placed {
  readonly metadata: Pick<ObjectMeta, 'namespace' | 'name' | 'labels'>;
}

const customerWord = '{customer}';
const mostNameCharacters = 63;
const mostSlugCharacters = 30;
const hashCharacters = 8;
/** Then it is looked at again: it may be gone and made anew since, for another Customer that was given its name. */
const trustedMilliseconds = 60_000;

/** What was found out about a namespace for a Customer. */
interface Known {
  readonly made: Promise<void>;
  readonly untilTime: number;
}

/** The namespaces of a pool. */
export class CustomerNamespaces {
  readonly #options: CustomerNamespacesOptions;
  /** By the namespace's name, then by Customer: two may have been given one name, and it is the first one's. */
  readonly #known = new Map<string, Map<string, Known>>();
  readonly #marks: NamespaceMarks;
  /** Those that the registry named since this worker began: a launch of before an edit is still ours. */
  readonly #named = new Set<string>();
  readonly #strangers = new Set<string>();

  constructor(options: CustomerNamespacesOptions) {
    this.#options = options;
    this.#marks = new NamespaceMarks(options.api, options.pool);
  }

  /** What an informer watches: the pool's own namespace, or all (`undefined`). */
  watched(own: string): readonly (string | undefined)[] {
    return this.#options.watchesAll ? [undefined] : [own];
  }

  /**
   * The namespace of the run's Pod. @throws LaunchError `podRefused` when it is not that Customer's; another error when
   * this worker does not watch it, which another one may do
   */
  async of(run: KubernetesRun, own: string): Promise<string> {
    const { namespace } = run.settings;
    if (namespace === undefined || namespace === own) return own;
    if (!this.#options.watchesAll)
      throw new Error(
        `Pods of the type "${run.type}" go to the namespace ${namespace} since an edit of the registry; ` +
          `restart this pool worker, which watches ${own} alone.`,
      );
    const prefix = namespace.replace(customerWord, '');
    if (prefix === namespace) {
      this.#named.add(namespace);
      return namespace;
    }
    const name =
      run.customerNamespace === undefined
        ? prefix + customerPart(run.customerId, mostNameCharacters - prefix.length)
        : this.#allowed(run.customerNamespace, prefix);
    await this.#ready(name, run.customerId);
    return name;
  }

  /**
   * Those of the Pods that are where Pods of this pool may be: in its own namespace, in one that its registry names, or
   * in one with our mark for the very Customer that the Pod says it is of. Whoever may make Pods elsewhere has no say.
   */
  async ours<Found extends Placed>(pods: readonly Found[], own: string): Promise<readonly Found[]> {
    for (const name of this.#options.named?.() ?? []) this.#named.add(name);
    const isNamed = (name: string) => name === own || this.#named.has(name);
    const elsewhere = pods.map(({ metadata }) => metadata.namespace).filter((name) => !isNamed(name));
    const marks = await this.#marks.of(new Set(elsewhere));
    return pods.filter(({ metadata: { namespace, name, labels: told } }) => {
      if (isNamed(namespace)) return true;
      const mark = marks.get(namespace);
      if (mark !== undefined && told?.[labels.customerId] === mark) return true;
      this.#tellOfStranger(namespace, name);
      return false;
    });
  }

  #tellOfStranger(namespace: string, name: string): void {
    if (this.#strangers.has(namespace)) return;
    this.#strangers.add(namespace);
    this.#options.onStranger?.(
      new Error(
        `The Pod ${namespace}/${name} has the labels of this pool, but its namespace is neither the pool's nor ` +
          `that of its Customer (label ${labels.customerId}); it is left alone, as all such Pods of that namespace.`,
      ),
    );
  }

  /** It turned out not to be there: it is made again when it is needed. */
  forget(name: string): void {
    this.#known.delete(name);
    this.#marks.forget(name);
  }

  /**
   * The name, if it may be used here. What is no name would be a path of something else. An empty prefix of the
   * registry allows nothing: it would allow everything.
   */
  #allowed(name: string, ownPrefix: string): string {
    const fault = namespaceFault(name);
    if (fault !== undefined)
      throw new LaunchError('podRefused', `The namespace of the Customer ${fault.message} Nothing was launched.`);
    const prefixes = this.#options.prefixes ?? (ownPrefix === '' ? [] : [ownPrefix]);
    if (prefixes.some((prefix) => name.startsWith(prefix))) return name;
    throw new LaunchError(
      'podRefused',
      `The namespace ${quoted(name)} of the Customer begins with no prefix that this pool worker allows; ` +
        `POP_CUSTOMER_NAMESPACES allows ${prefixes.length === 0 ? 'none' : prefixes.map(quoted).join(', ')}. ` +
        'Nothing was launched.',
    );
  }

  async #ready(name: string, customerId: string): Promise<void> {
    const ofName = this.#known.get(name) ?? new Map<string, Known>();
    this.#known.set(name, ofName);
    const now = performance.now();
    let known = ofName.get(customerId);
    if (known === undefined || known.untilTime <= now) {
      known = { made: this.#make(name, customerId, known === undefined), untilTime: now + trustedMilliseconds };
      ofName.set(customerId, known);
    }
    try {
      await known.made;
    } catch (error) {
      if (ofName.get(customerId) === known) ofName.delete(customerId);
      throw error;
    }
  }

  async #make(name: string, customerId: string, isFirstLook: boolean): Promise<void> {
    const { api, pool, template } = this.#options;
    const path = `/api/v1/namespaces/${name}`;
    let found = await api.ask<Namespace>({ path }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const isMissing = found === undefined;
    if (found === undefined) {
      this.#marks.forget(name);
      const metadata = {
        name,
        labels: {
          ...template.labels,
          'app.kubernetes.io/managed-by': 'pop',
          'pop.customer': labelValue(customerId),
          [labels.pool]: pool,
          [labels.customerId]: hashOf(customerId),
        },
        annotations: { ...template.annotations, 'pop.customer': customerId },
      };
      try {
        found = await api.ask<Namespace>({ method: 'POST', path: '/api/v1/namespaces', body: { metadata } });
      } catch (error) {
        if (!isTaken(error)) throw error;
        found = await api.ask<Namespace>({ path });
      }
    }
    if (found.metadata.labels?.[labels.customerId] !== hashOf(customerId))
      throw new LaunchError(
        'podRefused',
        `The namespace ${name} is there already, and it is not marked as that of this Customer ` +
          `(label ${labels.customerId}=${hashOf(customerId)}); nothing was launched in it.`,
      );
    const otherPool = found.metadata.labels[labels.pool];
    if (otherPool !== undefined && otherPool !== pool)
      throw new LaunchError(
        'podRefused',
        `The namespace ${name} is another pool's (label ${labels.pool}=${otherPool}, and this pool is ${pool}); ` +
          'nothing was launched in it.',
      );
    // Whoever made it may have died before it was filled; later, what its owner took away stays away.
    if (isFirstLook || isMissing) await this.#fill(name, customerId);
  }

  async #fill(name: string, customerId: string): Promise<void> {
    for (const { path, object } of this.#options.template.objects) {
      const filled = JSON.parse(
        JSON.stringify(object, (_key, value: unknown) =>
          typeof value === 'string'
            ? value.replaceAll('{namespace}', name).replaceAll('{customer}', labelValue(customerId))
            : value,
        ),
      ) as JsonObject;
      try {
        const body = { ...filled, metadata: { ...(filled.metadata as JsonObject), namespace: name } };
        // A misspelt field of a policy is refused, not dropped.
        const query = { fieldValidation: 'Strict' };
        await this.#options.api.ask({ method: 'POST', path: path.replace('{namespace}', name), query, body });
      } catch (error) {
        // What is there already is its owner's.
        if (!isTaken(error)) throw error;
      }
    }
  }
}

/** A slug for people as far as there is room, and a hash that tells Customers apart whose ids have the same slug. */
function customerPart(customerId: string, room: number): string {
  const hash = hashOf(customerId).slice(0, hashCharacters);
  const slug = slugOf(customerId, Math.min(mostSlugCharacters, room - hashCharacters - 1));
  return slug === '' ? hash : `${slug}-${hash}`;
}

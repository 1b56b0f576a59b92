/** Reads the file that says what the namespace of a Customer gets: a List of objects, in JSON or YAML. */
import { readFileSync } from 'node:fs';
import { CORE_SCHEMA, loadAll } from 'js-yaml';
import type { JsonObject } from '../agenda/types.ts';
import { WrongSettingError } from '../process/environment.ts';
import type { NamespaceTemplate } from './customer-namespaces.ts';

/** Kinds that a namespace may get, with the path of each. */
const paths: Readonly<Record<string, string>> = {
  ResourceQuota: '/api/v1/namespaces/{namespace}/resourcequotas',
  LimitRange: '/api/v1/namespaces/{namespace}/limitranges',
  ServiceAccount: '/api/v1/namespaces/{namespace}/serviceaccounts',
  ConfigMap: '/api/v1/namespaces/{namespace}/configmaps',
  Secret: '/api/v1/namespaces/{namespace}/secrets',
  NetworkPolicy: '/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies',
  Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings',
};

/** A namespace without anything in it. */
export const emptyTemplate: NamespaceTemplate = { labels: {}, annotations: {}, objects: [] };

/**
 * The template of a file with one YAML document for each object; labels and annotations are those of its Namespace.
 * @throws WrongSettingError naming the file and the document
 */
export function readNamespaceTemplate(path: string): NamespaceTemplate {
  const fail = (why: string) =>
    new WrongSettingError({
      setting: 'POP_NAMESPACE_TEMPLATE',
      problem: `names no usable template of namespaces: ${path}: ${why}`,
    });
  let documents: unknown[];
  try {
    // Not by the client of Kubernetes: it renames fields (`from` of a NetworkPolicy), and drops those it does not know.
    documents = loadAll(readFileSync(path, 'utf8'), { schema: CORE_SCHEMA });
  } catch (error) {
    throw fail(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  let template = emptyTemplate;
  for (const [index, document] of documents.entries()) {
    if (document === null || document === undefined) continue;
    const where = `document ${index + 1}`;
    if (typeof document !== 'object' || Array.isArray(document)) throw fail(`${where} is no object`);
    const object = document as JsonObject;
    const kind = String(object.kind ?? '');
    if (kind === 'Namespace') {
      const { labels = {}, annotations = {} } = (object.metadata ?? {}) as Record<string, Record<string, string>>;
      template = { ...template, labels, annotations };
      continue;
    }
    const at = paths[kind];
    if (at === undefined)
      throw fail(`${where} is of the kind "${kind}"; possible are Namespace, ${Object.keys(paths).join(', ')}`);
    const name = (object.metadata as JsonObject | undefined)?.name;
    if (typeof name !== 'string') throw fail(`${where} (${kind}) has no metadata.name`);
    template = { ...template, objects: [...template.objects, { path: at, object }] };
  }
  return template;
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { emptyTemplate, readNamespaceTemplate } from './namespace-template.ts';

const folder = mkdtempSync(join(tmpdir(), 'pop-template-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(text: string) {
  const path = join(folder, 'template.yaml');
  writeFileSync(path, text);
  return readNamespaceTemplate(path);
}

test('a file has a document for each object, in YAML or JSON; those without anything are passed over', () => {
  const template = read(`---
kind: Namespace
metadata:
  labels: { pod-security.kubernetes.io/enforce: restricted }
---
---
# The most of a Customer.
kind: ResourceQuota
metadata: { name: most }
spec: { hard: { requests.cpu: '8' } }
---
{ "kind": "NetworkPolicy", "metadata": { "name": "closed" }, "spec": { "podSelector": {} } }
`);
  expect(template).toEqual({
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
    annotations: {},
    objects: [
      {
        path: '/api/v1/namespaces/{namespace}/resourcequotas',
        object: { kind: 'ResourceQuota', metadata: { name: 'most' }, spec: { hard: { 'requests.cpu': '8' } } },
      },
      {
        path: '/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies',
        object: { kind: 'NetworkPolicy', metadata: { name: 'closed' }, spec: { podSelector: {} } },
      },
    ],
  });
});

test('objects are as they were written, whatever their fields are called', () => {
  const rule = { from: [{ podSelector: {} }], ofALaterVersion: { at: '2026-01-01', on: true } };
  const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'closed' } };
  const object = { ...policy, spec: { podSelector: {}, ingress: [rule] } };
  expect(read(JSON.stringify(object)).objects[0]?.object).toEqual(object);
  expect(read('kind: ConfigMap\nmetadata: { name: x }\ndata: { day: 2026-01-01 }').objects[0]?.object).toMatchObject({
    data: { day: '2026-01-01' },
  });
});

test('an empty file makes empty namespaces', () => {
  expect(read('')).toEqual(emptyTemplate);
});

test.each([
  [
    'kind: Deployment\nmetadata: { name: x }',
    'document 1 is of the kind "Deployment"; possible are Namespace, ResourceQ',
  ],
  ['kind: Namespace\n---\nkind: Role', 'document 2 (Role) has no metadata.name'],
  ['- a\n- b', 'document 1 is no object'],
  ['just words', 'document 1 is no object'],
  ['metadata: { name: x }', 'is of the kind ""'],
  ['kind: [', 'cannot be read'],
])('%o is refused, with the file and the document', (text, words) => {
  expect(() => read(text)).toThrow(words);
  expect(() => read(text)).toThrow(
    `POP_NAMESPACE_TEMPLATE names no usable template of namespaces: ${join(folder, 'template.yaml')}: `,
  );
});

test('a file that is not there is refused', () => {
  expect(() => readNamespaceTemplate('/no/such.yaml')).toThrow(
    'template of namespaces: /no/such.yaml: cannot be read: ',
  );
});

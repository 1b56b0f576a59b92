import { expect, test } from 'vitest';
import { FakeApiServer } from '../test/support/fake-api-server.ts';
import { KubernetesApi } from './kubernetes-api.ts';
import { describeRights, missingRights, neededRights, templateRights } from './own-rights.ts';

const words = (...given: Parameters<typeof neededRights>) => describeRights(neededRights(...given));

test('in one namespace a worker needs rights in that alone', () => {
  expect(words('media', 'media')).toBe(
    'create pods, get pods, list pods, watch pods, patch pods, delete pods, get pods/log, create secrets, ' +
      'patch secrets, get namespaces media in media',
  );
});

test('in all of them it makes, lists and deletes namespaces as well; nowhere does it read Secrets', () => {
  expect(words('media', undefined)).toBe(
    'create pods, get pods, list pods, watch pods, patch pods, delete pods, get pods/log, create secrets, ' +
      'patch secrets, get namespaces, create namespaces, list namespaces, delete namespaces in all namespaces; ' +
      'get namespaces media in media',
  );
});

test('a template needs a right for each kind in it, by its group', () => {
  const quotas = '/api/v1/namespaces/{namespace}/resourcequotas';
  const policies = '/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies';
  expect(templateRights([quotas, policies, quotas])).toEqual([
    { verb: 'create', resource: 'resourcequotas' },
    { verb: 'create', group: 'networking.k8s.io', resource: 'networkpolicies' },
  ]);
});

test('the cluster is asked for each, and what it does not grant is told', async () => {
  await using fake = await FakeApiServer.open();
  fake.grants = ({ verb, resource, subresource }) =>
    verb !== 'patch' && subresource !== 'log' && resource !== 'secrets';
  const rights = neededRights('media', 'media');
  const missing = await missingRights(new KubernetesApi(fake.config), rights);
  expect(describeRights(missing)).toBe('patch pods, get pods/log, create secrets, patch secrets in media');
  expect(fake.sent('POST').map(({ body }) => body.spec.resourceAttributes)).toEqual(
    expect.arrayContaining([...rights]),
  );
  fake.grants = () => true;
  expect(await missingRights(new KubernetesApi(fake.config), rights)).toEqual([]);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../agenda/types.ts';
import { strategicMerge } from './merge-pod.ts';

const base = {
  metadata: { labels: { a: '1' } },
  spec: {
    restartPolicy: 'Never',
    tolerations: [{ key: 'ours' }],
    containers: [
      {
        name: 'handler',
        image: 'ours',
        args: ['a'],
        env: [{ name: 'A', value: '1' }],
        volumeMounts: [{ mountPath: '/a' }],
      },
    ],
  },
};

describe('a fragment laid over a Pod', () => {
  test('adds to objects, and to lists whose elements have names', () => {
    const fragment = {
      metadata: { labels: { b: '2' }, annotations: { note: 'yes' } },
      spec: {
        hostNetwork: true,
        containers: [
          { name: 'sidecar', image: 'theirs' },
          { name: 'handler', env: [{ name: 'B', value: '2' }], volumeMounts: [{ mountPath: '/b' }] },
        ],
        volumes: [{ name: 'new', emptyDir: {} }],
      },
    };
    expect(strategicMerge(base, fragment)).toEqual({
      metadata: { labels: { a: '1', b: '2' }, annotations: { note: 'yes' } },
      spec: {
        restartPolicy: 'Never',
        hostNetwork: true,
        tolerations: [{ key: 'ours' }],
        containers: [
          {
            name: 'handler',
            image: 'ours',
            args: ['a'],
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '2' },
            ],
            volumeMounts: [{ mountPath: '/a' }, { mountPath: '/b' }],
          },
          { name: 'sidecar', image: 'theirs' },
        ],
        volumes: [{ name: 'new', emptyDir: {} }],
      },
    });
  });

  test('replaces values, and lists whose elements have no names', () => {
    const fragment = {
      spec: {
        tolerations: [{ key: 'theirs' }],
        containers: [{ name: 'handler', image: 'theirs', args: ['b', 'c'], env: [{ name: 'A', value: '2' }] }],
      },
    };
    const { spec } = strategicMerge(base, fragment) as { spec: JsonObject };
    expect(spec.tolerations).toEqual([{ key: 'theirs' }]);
    expect(spec.containers).toMatchObject([{ image: 'theirs', args: ['b', 'c'], env: [{ name: 'A', value: '2' }] }]);
  });

  test('a null removes, also within an element, and never stays', () => {
    const fragment = {
      metadata: { labels: null, annotations: { gone: null, kept: '1' } },
      spec: {
        containers: [
          { name: 'handler', args: null },
          { name: 'sidecar', command: null },
        ],
        volumes: [{ name: 'new', emptyDir: { sizeLimit: null } }],
      },
    };
    expect(strategicMerge(base, fragment)).toEqual({
      metadata: { annotations: { kept: '1' } },
      spec: {
        ...base.spec,
        containers: [
          { name: 'handler', image: 'ours', env: [{ name: 'A', value: '1' }], volumeMounts: [{ mountPath: '/a' }] },
          { name: 'sidecar' },
        ],
        volumes: [{ name: 'new', emptyDir: {} }],
      },
    });
  });

  test('a list with an element that has no name is taken as it is', () => {
    const fragment = { spec: { containers: [{ image: 'nameless' }] } };
    expect(strategicMerge(base, fragment)).toMatchObject({ spec: { containers: [{ image: 'nameless' }] } });
  });

  const fields = fc.constantFrom('containers', 'env', 'ports', 'args', 'name', 'spec', 'x');
  const { object } = fc.letrec<{ object: JsonObject; value: JsonObject[string] }>((tie) => ({
    object: fc.dictionary(fields, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(null, 'a', 'b', 1, true),
      tie('object'),
      fc.array(fc.oneof(tie('object'), fc.constantFrom('a', 'b')), { maxLength: 3 }),
    ),
  }));

  test('laid over twice it does what it did once, and the base is left as it was', () => {
    fc.assert(
      fc.property(object, object, (under, over) => {
        const before = structuredClone(under);
        const once = strategicMerge(under, over);
        expect(strategicMerge(once, over)).toEqual(once);
        expect(under).toEqual(before);
      }),
      { numRuns: 2_000 },
    );
  });

  test('an empty one changes nothing', () => {
    fc.assert(
      fc.property(object, (under) => {
        expect(strategicMerge(under, {})).toEqual(under);
      }),
    );
  });
});

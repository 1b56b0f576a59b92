import { describe, expect, test } from 'vitest';
import { needsOf } from './needs.ts';
import { parseRegistry, RegistryError, settingsFor } from './registry.ts';

const needsIn = (base: object, own: object, launch: object = { command: ['true'] }) => {
  const source = JSON.stringify({ basePodConfig: base, a: { podConfig: { ...launch, ...own } } });
  const settings = settingsFor(parseRegistry(source, '/etc/pop/registry.json'), 'a');
  return settings && needsOf(settings);
};
const faultOf = (needs: unknown): string => {
  const entry = `"a": { "podConfig": { "command": ["x"],\n"needs": ${JSON.stringify(needs)} } }`;
  try {
    parseRegistry(`{\n"basePodConfig": {},\n${entry} }`, '/etc/pop/registry.json');
  } catch (error) {
    if (error instanceof RegistryError) return error.message;
    throw error;
  }
  return 'none';
};

describe('what a run of a type needs', () => {
  test('is what its entry states, in numbers or as Kubernetes writes them', () => {
    expect(needsIn({}, { needs: { cpu: '500m', memory: '2Gi', gpu: 1, slots: 2 } })).toEqual({
      cpu: 0.5,
      memory: 2_147_483_648,
      gpu: 1,
      slots: 2,
    });
  });

  test('is unknown where nothing is stated', () => {
    expect(needsIn({}, {})).toEqual({});
  });

  test('is that of basePodConfig unless the type has its own, as a whole, for functions too', () => {
    const base = { needs: { cpu: 1, memory: '1Gi' } };
    expect(needsIn(base, {})).toEqual({ cpu: 1, memory: 2 ** 30 });
    expect(needsIn(base, { needs: { cpu: 4 } })).toEqual({ cpu: 4 });
    expect(needsIn(base, { needs: { slots: 3 } }, { launch: 'inProcess', function: 'noOp' })).toEqual({ slots: 3 });
  });

  test.each(['docker', 'kubernetes'])(
    'of a container of %s is what it requests, where needs states nothing',
    (launch) => {
      const container = (more: object, base: object = {}) => needsIn(base, { imageName: 'image', ...more }, { launch });
      const requests = { cpuMinRequestCount: '250m', memoryRequestCount: '512Mi', gpuCount: 1 };
      expect(container(requests)).toEqual({ cpu: 0.25, memory: 2 ** 29, gpu: 1 });
      expect(container({}, requests)).toEqual({ cpu: 0.25, memory: 2 ** 29, gpu: 1 });
      // As the container itself: one core unless it says otherwise.
      expect(container({})).toEqual({ cpu: 1 });
      expect(container({ ...requests, needs: { slots: 1 } })).toEqual({ slots: 1 });
    },
  );

  test.each([
    [{ cpu: 'two' }, /registry.json:4 \/a\/podConfig\/needs\/cpu: .*"500m"/],
    [{ memory: '2gb' }, /registry.json:4 \/a\/podConfig\/needs\/memory: /],
    [{ cpu: -1 }, /needs\/cpu: must be from 0 to 1000000/],
    [{ slots: 1.5 }, /needs\/slots: must be a whole number/],
    [{ cores: 1 }, /needs\/cores: unknown field/],
    [4, /registry.json:4 \/a\/podConfig\/needs: /],
  ])('%o is refused with its line', (needs, message) => {
    expect(faultOf(needs)).toMatch(message);
  });
});

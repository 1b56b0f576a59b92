/** The media Agenda in real containers, from a video to its HLS manifest, by programs that are Pods themselves. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgendaProgress } from '../../examples/demo/client.ts';
import { mediaAgenda } from '../../examples/media/agenda.ts';
import { kubectl } from './kubectl.ts';
import { type PopInCluster, startPopInCluster } from './pop-in-cluster.ts';
import { hasRealNode, until } from './shared-cluster.ts';

const agendaSeconds = 400;

describe.skipIf(!hasRealNode)('POP in a cluster', { timeout: 500_000 }, () => {
  let pop: PopInCluster;
  beforeAll(async () => {
    pop = await startPopInCluster();
  }, 900_000);
  afterAll(() => pop?.[Symbol.asyncDispose]());

  async function run(agenda: unknown): Promise<AgendaProgress> {
    const { progressId } = await pop.operator<{ progressId: string }>('POST', '/agenda', agenda);
    const ended = async () => {
      const progress = await pop.operator<AgendaProgress>('GET', `/progress/agenda/${progressId}`);
      return progress.processingState === 'COMPLETE' ? progress : undefined;
    };
    return until('end of the Agenda', ended, agendaSeconds);
  }

  test('runs the media Agenda in containers to its HLS manifest', async () => {
    const agenda: unknown = JSON.parse(await readFile('examples/media/kubernetes/agenda.json', 'utf8'));
    expect(agenda).toEqual(mediaAgenda({ customerId: 'acme', source: '/media/clip.mp4', folder: '/media/acme' }));
    const { processingStateMessage, operationProgress } = await run(agenda);
    expect(processingStateMessage, JSON.stringify(operationProgress)).toBe('succeeded');
    for (const each of operationProgress) expect(each).toMatchObject({ launch: 1, attemptCount: 1 });
    const packed = operationProgress.find(({ operation }) => operation === 'package')?.resultPayload;
    expect(JSON.parse(packed ?? 'null')).toMatchObject({ manifest: '/media/acme/hls/master.m3u8' });
    const manifest = await readFile(join(pop.media, 'acme/hls/master.m3u8'), 'utf8');
    expect(manifest).toMatch(/RESOLUTION=640x360[\s\S]*RESOLUTION=320x180[\s\S]*RESOLUTION=160x90/);
    const made = await readdir(join(pop.media, 'acme'));
    expect(made.sort()).toEqual(['filmstrip.jpg', 'hls', 'large.mp4', 'medium.mp4', 'small.mp4', 'thumbnail.jpg']);
    // What ended was acknowledged and is gone.
    await expect.poll(() => pop.pods('pop-handler'), { timeout: 60_000 }).toEqual([]);
  });

  test('serves a type that was added to the registry, without a restart', async () => {
    const text = await kubectl('get', 'configmap', 'pop-registry', '-n', pop.namespace, '-o', 'json');
    const { data } = JSON.parse(text) as { data: Record<string, string> };
    const registry = JSON.parse(data['registry.json'] ?? 'null') as Record<string, unknown>;
    const edited = { data: { 'registry.json': JSON.stringify({ ...registry, later: registry.sample }) } };
    await kubectl('patch', 'configmap', 'pop-registry', '-n', pop.namespace, '--patch', JSON.stringify(edited));
    const workers = () => pop.operator<unknown>('GET', '/resourcepool/minikube/workers');
    await until(
      'type that was added',
      async () => JSON.stringify(await workers()).includes('"later"') || undefined,
      180,
    );
    const payload = { actions: [], resultPayload: { edited: true } };
    const { operationProgress } = await run({
      customerId: 'acme',
      operations: [{ name: 'only', type: 'later', payload }],
    });
    const [only] = operationProgress;
    expect(only).toMatchObject({ processingStateMessage: 'succeeded', resultPayload: '{"edited":true}' });
    const [pod] = await pop.pods('pop-pool-worker');
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0, ready: true });
  });
});

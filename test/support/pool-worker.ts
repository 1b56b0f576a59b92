/**
 * A pool worker without its process: the real launchers, registry and client, for activities in a
 * MockActivityEnvironment.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { pino } from 'pino';
import { createPoolActivities } from '../../activities/pool/activities.ts';
import type { PoolWorker } from '../../activities/pool/parts.ts';
import { ResourcePoolClient } from '../../activities/pool/resource-pool-client.ts';
import { RunningOperations } from '../../activities/pool/running-operations.ts';
import { type InProcessFunction, InProcessLauncher } from '../../launchers/in-process/in-process-launcher.ts';
import type { Launchers } from '../../launchers/launcher.ts';
import { LiveRegistry } from '../../launchers/live-registry.ts';
import { LocalLauncher } from '../../launchers/local/local-launcher.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import type { ResourcePoolService } from './resource-pool-service.ts';

/** What workers of one host share. */
export interface Host extends AsyncDisposable {
  readonly directory: string;
  readonly runs: string;
  readonly registry: string;
  /** Handlers of the type `gated` end once this file exists. */
  readonly gate: string;
  openGate(): Promise<void>;
}

/** A host for pool workers: run directories and a registry in a folder that goes at the end of its scope. */
export async function testHost(): Promise<Host> {
  const directory = await mkdtemp(join(tmpdir(), 'pop-pool-'));
  const gate = join(directory, 'gate');
  const registry = join(directory, 'registry.json');
  const shell = (script: string) => ({ command: ['/bin/sh', '-c', script], resultFrom: 'lastLogLine' });
  const types = {
    basePodConfig: { graceSeconds: 5, envVars: { GATE: gate } },
    gated: { podConfig: shell('echo begun; until [ -e "$GATE" ]; do sleep 0.02; done; echo "{\\"pid\\":$$}"') },
    failing: { podConfig: shell('echo something broke; exit 3') },
    missing: { podConfig: { command: ['no-such-program'] } },
    ...Object.fromEntries(
      ['noOp', 'reporter', 'waiter', 'thrower', 'hugeResult'].map((name) => [
        name,
        { podConfig: { launch: 'inProcess', function: name } },
      ]),
    ),
  };
  await writeFile(registry, JSON.stringify(types));
  return {
    directory,
    runs: join(directory, 'runs'),
    registry,
    gate,
    openGate: () => writeFile(gate, ''),
    async [Symbol.asyncDispose]() {
      const launcher = new LocalLauncher({ root: join(directory, 'runs') });
      for (const { key } of await launcher.list()) await launcher.stop(key, 0);
      // A shim that has just written its handler's end may still be writing its compile cache.
      await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 });
    },
  };
}

/** One activity under way. */
export interface Activity {
  readonly ended: Promise<unknown>;
  readonly heartbeats: readonly unknown[];
  interrupt(details: ConstructorParameters<typeof ActivityCancellationDetails>[0]): void;
}

/** A pool worker in this process, and its activities. */
export interface TestWorker extends Disposable {
  readonly pool: PoolWorker & {
    readonly launchers: { readonly local: LocalLauncher; readonly inProcess: InProcessLauncher };
  };
  readonly local: LocalLauncher;
  readonly lines: readonly Record<string, unknown>[];
  run(key: OperationKey, info?: { attempt?: number; heartbeatTimeoutMs?: number }): Activity;
  stop(key: OperationKey): Activity;
  shutDown(): void;
}

let workers = 0;

/** Starts a pool worker on a host; it reports to the service. `more`: launchers beside those of the host. */
export function testWorker(
  host: Host,
  service: Pick<ResourcePoolService, 'url' | 'apiKey' | 'resourcePoolId'>,
  functions: Readonly<Record<string, InProcessFunction>> = {},
  more: Pick<Launchers, 'docker' | 'kubernetes'> = {},
): TestWorker {
  const name = `test-${++workers}`;
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'debug', messageKey: 'message' },
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const client = new ResourcePoolClient({
    url: service.url,
    headers: { authorization: `Bearer ${service.apiKey}` },
    gather: { firstRestMilliseconds: 20, longestRestMilliseconds: 100 },
  });
  const running = new RunningOperations({
    report: (items) => client.reportProgress(items),
    worker: name,
    log,
    beatMilliseconds: 50,
    gatherMilliseconds: 10,
  });
  const shutdown = new AbortController();
  const local = new LocalLauncher({ root: host.runs });
  const pool: TestWorker['pool'] = {
    resourcePoolId: service.resourcePoolId,
    name,
    client,
    registry: new LiveRegistry(host.registry, (error) => {
      throw error;
    }),
    launchers: { local, inProcess: new InProcessLauncher({ worker: name, functions }), ...more },
    url: service.url,
    running,
    shutdown: shutdown.signal,
    log,
  };
  const activities = createPoolActivities(pool);
  const open = new Set<MockActivityEnvironment>();
  const begin = (
    perform: () => Promise<unknown>,
    info: { attempt?: number; heartbeatTimeoutMs?: number },
  ): Activity => {
    const environment = new MockActivityEnvironment(
      { heartbeatTimeoutMs: 300, scheduledTimestampMs: Date.now(), ...info },
      { logger: new DefaultLogger('ERROR') },
    );
    open.add(environment);
    const heartbeats: unknown[] = [];
    environment.on('heartbeat', (details) => heartbeats.push(details));
    const ended = environment.run(perform);
    const forget = () => void open.delete(environment);
    ended.then(forget, forget);
    return {
      ended,
      heartbeats,
      interrupt: (details) => environment.cancel('CANCELLED', new ActivityCancellationDetails(details)),
    };
  };
  return {
    pool,
    local,
    lines,
    run: (key, info = {}) => begin(() => activities.runOperation(key), info),
    stop: (key) => begin(() => activities.stopOperation(key), {}),
    shutDown() {
      shutdown.abort(new Error('SIGTERM'));
      for (const environment of open)
        environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    },
    [Symbol.dispose]() {
      this.shutDown();
      running.close();
    },
  };
}

/**
 * Tests workflows with skipped time: `await using environment = await workflowEnvironment()`, then
 * `environment.run(queues, body)`, which serves task queues with the activities of a test while `body` runs. Time skips
 * while a result is awaited and no activity is outstanding. It is one time for the whole server, so run one test at a
 * time.
 */
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { findProgram } from '../../machine/programs.mjs';
import type { TemporalClient } from '../../temporal/connect.ts';
import { addSearchAttributes } from '../../temporal/register-search-attributes.ts';
import { workflowBundle } from '../../workers/workflow-bundle.ts';
import { plainNames } from '../../workflows/names.ts';

/** Per task queue, its activities; a queue served here runs workflows too. */
export type Queues = Readonly<Record<string, object>>;

/** Options of `run`: a file with other workflows than today's, and the most activities at once. */
export interface ServeOptions {
  readonly workflowsPath?: string;
  readonly concurrency?: number;
}

/** A Temporal server with a client. */
export interface WorkflowEnvironment extends AsyncDisposable {
  /** With the names of an installation that has none of its own. */
  readonly client: TemporalClient;
  readonly address: string;
  /**
   * Serves the queues until `body` is done, with the workflows of today or those of the file `workflowsPath`, and with
   * at most `concurrency` activities at once.
   */
  run<T>(queues: Queues, body: () => Promise<T>, options?: ServeOptions): Promise<T>;
}

/** An environment on the time-skipping test server. */
export async function workflowEnvironment(): Promise<WorkflowEnvironment> {
  return around(() =>
    TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path: program('temporal-test-server') } },
    }),
  );
}

/** An environment on Temporal's dev server, with real time. */
export async function realWorkflowEnvironment(
  dynamicConfig: Readonly<Record<string, string>> = {},
): Promise<WorkflowEnvironment> {
  return around(() =>
    TestWorkflowEnvironment.createLocal({
      server: {
        executable: { type: 'existing-path', path: program('temporal') },
        extraArgs: Object.entries(dynamicConfig).flatMap(([key, value]) => [
          '--dynamic-config-value',
          `${key}=${value}`,
        ]),
      },
    }),
  );
}

async function around(create: () => Promise<TestWorkflowEnvironment>): Promise<WorkflowEnvironment> {
  quiet();
  const [environment, codePath] = await Promise.all([create(), workflowBundle()]);
  // A workflow that sets one the server does not know would stand there for ever.
  await addSearchAttributes(environment.client, environment.namespace ?? 'default');
  const serve = (taskQueue: string, activities: object, { workflowsPath, concurrency }: ServeOptions) =>
    Worker.create({
      ...{ connection: environment.nativeConnection, taskQueue, activities },
      ...(workflowsPath === undefined ? { workflowBundle: { codePath } } : { workflowsPath }),
      ...(concurrency === undefined ? {} : { maxConcurrentActivityTaskExecutions: concurrency }),
      maxHeartbeatThrottleInterval: '100 ms',
    });
  const client = Object.assign(environment.client, { names: plainNames });
  return {
    client,
    address: environment.address,
    async run(queues, body, options = {}) {
      const workers = await Promise.all(
        Object.entries(queues).map(([queue, activities]) => serve(queue, activities, options)),
      );
      // The first worker stands around the second, and so on, around the body.
      return workers.reduce((inner, worker) => () => worker.runUntil(inner()), body)();
    },
    [Symbol.asyncDispose]: () => environment.teardown(),
  };
}

let isQuiet = false;
function quiet(): void {
  if (!isQuiet)
    Runtime.install({
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
    });
  isQuiet = true;
}

function program(name: 'temporal' | 'temporal-test-server'): string {
  const { path, tried } = findProgram(name);
  if (path === undefined)
    throw new Error(`The program ${name} was not found; npm run setup fetches it. Looked at: ${tried.join('; ')}.`);
  return path;
}

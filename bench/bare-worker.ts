/**
 * The baseline's process: the bare workflows and their activity, with the options of our own control and pool workers.
 * Says `bare worker ready` and ends with its parent.
 */
import { NativeConnection, Worker } from '@temporalio/worker';
import { createLog } from '../process/log.ts';
import { untilShutdown } from '../process/shutdown.ts';
import { temporalSettings } from '../temporal/connect.ts';
import { installTemporalRuntime } from '../temporal/runtime.ts';
import { controlWorkerOptions, poolWorkerOptions } from '../workers/worker-options.ts';

const log = createLog('bare');
installTemporalRuntime(log);
const { address, namespace } = temporalSettings();
const connection = await NativeConnection.connect({ address });
const role = process.argv[2];
const noOp = async (): Promise<void> => {};
const worker =
  role === 'workflows'
    ? await Worker.create({
        ...controlWorkerOptions,
        connection,
        namespace,
        taskQueue: 'bare',
        // Run in the workflow's own task, as our control steps are.
        activities: { noOp },
        workflowsPath: new URL('bare-workflows.ts', import.meta.url).pathname,
      })
    : await Worker.create({
        ...poolWorkerOptions(Number(process.env.POP_CONCURRENCY ?? 100)),
        connection,
        namespace,
        taskQueue: 'bare-activities',
        activities: { noOp },
      });
const shutdown = untilShutdown(log);
shutdown.signal.addEventListener('abort', () => worker.shutdown());
process.stdout.write('bare worker ready\n');
await worker.run();
await connection.close();

/**
 * A worker process of its own, for tests. `node scratch-worker.ts <root> <podConfig>` starts `run-1`, follows it and
 * prints handle and ending.
 */
import { LocalLauncher } from '../../launchers/local/local-launcher.ts';
import { never, recorded, runOf } from './scratch.ts';

const [root = '', podConfig = '{}'] = process.argv.slice(2);
const launcher = new LocalLauncher({ root });
const run = runOf(JSON.parse(podConfig) as Record<string, unknown>);
const handle = await launcher.start(run);
const ending = await launcher.follow(run, recorded(), never());
console.log(JSON.stringify({ handle, ending }));

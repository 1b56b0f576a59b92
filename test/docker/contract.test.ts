/** What every launcher promises, held by containers of a real engine. */
import { afterAll, describe } from 'vitest';
import { launcherContract } from '../../launchers/contract.ts';
import { testEngine } from '../support/docker-engine.ts';
import { dockerScratch } from '../support/docker-scratch.ts';
import { shellWorks } from '../support/shell-works.ts';

const engine = await testEngine();
afterAll(() => engine?.[Symbol.asyncDispose]());

describe.skipIf(engine === undefined)('containers of an engine', () => {
  launcherContract(async () => {
    if (engine === undefined) throw new Error('There is no engine.');
    const at = await dockerScratch(engine);
    return {
      ...{ launcher: at.launcher, other: at.other, proceed: at.proceed },
      run: (work, limits) =>
        work === 'neverStart' ? at.run(undefined, { command: ['/no-such'] }) : at.run(shellWorks[work], { ...limits }),
      [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
    };
  });
});

/** Chooses how a tool is run. */
import { accessSync } from 'node:fs';
import { join } from 'node:path';
import type { Fields } from '../fields.ts';
import { fail } from '../handler-failure.ts';
import { serviceAccountFolder } from '../kubernetes/service-account.ts';
import type { ExternalLaunch, ExternalTool } from './external-tool.ts';

const launches: readonly string[] = ['local', 'docker', 'kubernetes'] satisfies ExternalLaunch[];

/**
 * Which launch a tool gets when its caller does not say: `-externalLaunchType`, then `POP_EXTERNAL_LAUNCH` of
 * environment or properties. Else a tool with an image is a Pod where the handler's own Pod may speak to the API, and
 * any other a process.
 */
export function externalLaunch(tool: Pick<ExternalTool, 'image' | 'launch'>, fields: Fields): ExternalLaunch {
  const named = tool.launch ?? fields.argument('externalLaunchType') ?? fields.get('POP_EXTERNAL_LAUNCH');
  if (named === undefined) return tool.image !== undefined && isInPod(fields) ? 'kubernetes' : 'local';
  const launch = named.toLowerCase();
  if (launches.includes(launch)) return launch as ExternalLaunch;
  fail(`Tools can be launched by ${launches.join(', ')}, not by "${named}".`, { code: 'externalLaunch' });
}

function isInPod(fields: Fields): boolean {
  if (fields.environment('KUBERNETES_SERVICE_HOST') === undefined) return false;
  try {
    accessSync(join(fields.environment('POP_SERVICE_ACCOUNT_FOLDER') ?? serviceAccountFolder, 'token'));
    return true;
  } catch {
    return false;
  }
}

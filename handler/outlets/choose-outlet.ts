/**
 * Chooses how a handler reports: what its author says, then `POP_REPORT_BY`, then a progress file, then a token; else
 * lines of output.
 */
import type { Fields } from '../fields.ts';
import { fail } from '../handler-failure.ts';
import type { JsonObject } from '../types.ts';
import { FileOutlet } from './file-outlet.ts';
import { HttpOutlet } from './http-outlet.ts';
import { LogOutlet } from './log-outlet.ts';
import type { Outlet } from './outlet.ts';
import { resultFileOf } from './result-file.ts';

/** Ways to report. */
export type ReportBy = 'annotation' | 'file' | 'http' | 'log';

const ways: readonly string[] = ['annotation', 'file', 'http', 'log'] satisfies ReportBy[];

/** What says how to report. */
export interface OutletChoice {
  readonly fields: Fields;
  readonly environment: NodeJS.ProcessEnv;
  readonly asked?: ReportBy | Outlet | undefined;
  /** How long the report of the end is tried again. */
  readonly endSeconds: number;
}

/** The outlet. Fails when it is asked for a way that this launch does not have. */
export async function chooseOutlet(choice: OutletChoice): Promise<Outlet> {
  const { fields, environment, asked, endSeconds } = choice;
  if (typeof asked === 'object') return asked;
  const resultFile = resultFileOf(environment);
  const progressFile = fields.environment('POP_PROGRESS_FILE');
  switch (asked ?? wayOf(fields)) {
    case 'file':
      if (progressFile === undefined) refuse('file', 'POP_PROGRESS_FILE is not set');
      return new FileOutlet(progressFile, resultFile, httpOutlet(choice));
    case 'http':
      return httpOutlet(choice) ?? refuse('http', 'POP_URL, POP_TOKEN_FILE and POP_LAUNCH are not all set');
    case 'annotation': {
      // Loaded when it is needed: most handlers never speak to Kubernetes.
      const { KubernetesClient, kubernetesAccess } = await import('../kubernetes/client.ts');
      const { AnnotationOutlet } = await import('./annotation-outlet.ts');
      const access = kubernetesAccess(fields) ?? refuse('annotation', 'KUBERNETES_SERVICE_HOST is not set');
      const pod = fields.environment('MY_POD_NAME') ?? refuse('annotation', 'MY_POD_NAME is not set');
      if (access.tokenFile === undefined) refuse('annotation', 'the Pod has no token of its ServiceAccount');
      const larger = httpOutlet(choice);
      return new AnnotationOutlet({ client: new KubernetesClient(access), pod, resultFile, larger, endSeconds });
    }
    case 'log':
      return new LogOutlet(resultFile);
  }
}

function wayOf(fields: Fields): ReportBy {
  const named = fields.get('POP_REPORT_BY');
  if (named !== undefined) {
    return ways.includes(named) ? (named as ReportBy) : refuse(named, `POP_REPORT_BY is one of ${ways.join(', ')}`);
  }
  if (fields.environment('POP_PROGRESS_FILE') !== undefined) return 'file';
  return fields.environment('POP_TOKEN_FILE') === undefined ? 'log' : 'http';
}

function httpOutlet({ fields, environment, endSeconds }: OutletChoice): HttpOutlet | undefined {
  const url = fields.environment('POP_URL');
  const tokenFile = fields.environment('POP_TOKEN_FILE');
  const launch = fields.environment('POP_LAUNCH');
  if (url === undefined || tokenFile === undefined || launch === undefined) return undefined;
  return new HttpOutlet({
    url,
    tokenFile,
    launch: JSON.parse(launch) as JsonObject,
    resultFile: resultFileOf(environment),
    endSeconds,
  });
}

function refuse(way: string, why: string): never {
  fail(`The handler cannot report by "${way}": ${why}.`, { code: 'reportBy' });
}

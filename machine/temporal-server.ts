import { searchAttributes } from '../workflows/search-attributes.ts';
import { findProgram } from './programs.mjs';

/** Where the server listens, and its file. */
export interface TemporalServerOptions {
  readonly port: number;
  readonly uiPort: number;
  /** Workflows, timers and visibility are kept in this file. */
  readonly databaseFile: string;
}

const searchAttributeTypes: Readonly<Record<string, string>> = { KEYWORD: 'Keyword', KEYWORD_LIST: 'KeywordList' };

/** Server settings beyond Temporal's defaults, and why. Values are JSON. */
export const temporalDynamicConfig: Readonly<Record<string, string>> = {
  // Priority and fairness are exact with one partition per task queue only.
  'matching.enableFairness': 'true',
  'matching.numTaskqueueReadPartitions': '1',
  'matching.numTaskqueueWritePartitions': '1',
  // Otherwise a continue-as-new within a second of a run's start waits for that second.
  'history.workflowIdReuseMinimalInterval': '"0s"',
  // The default of 20 a second for each shard, of which this server has one, makes every task wait for the next
  // twentieth of a second: two of them for each Operation of a chain.
  'history.transferProcessorMaxPollRPS': '1000',
  'history.timerProcessorMaxPollRPS': '1000',
};

/**
 * How the server writes its file. Its default waits for the disk at each step; so it does at checkpoints only. A power
 * cut may take the last steps with it, but the file stays whole, and whatever it lacks is made up for from the record.
 */
const sqlitePragmas: Readonly<Record<string, string>> = { journal_mode: 'WAL', synchronous: 'NORMAL' };

/**
 * The command line of the Temporal server of one machine.
 * @throws when there is no `temporal` program; the message says where it was looked for.
 */
export function temporalServerCommand(options: TemporalServerOptions): [string, ...string[]] {
  const { path, tried } = findProgram('temporal');
  if (path === undefined) {
    throw new Error(`The program temporal was not found; npm run setup fetches it. Looked at: ${tried.join('; ')}.`);
  }
  return [
    path,
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'warn', '--ui-disable-news-fetch'],
    ...['--port', String(options.port), '--ui-port', String(options.uiPort), '--db-filename', options.databaseFile],
    ...Object.entries(sqlitePragmas).flatMap(([name, value]) => ['--sqlite-pragma', `${name}=${value}`]),
    ...Object.values(searchAttributes).flatMap(({ name, type }) => [
      '--search-attribute',
      `${name}=${searchAttributeTypes[type] ?? type}`,
    ]),
    ...Object.entries(temporalDynamicConfig).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
  ];
}

/** Whether the server answers for its namespace; asked through the Web UI, so that the UI works too. */
export async function temporalAnswers(uiPort: number, namespace: string): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${uiPort}/api/v1/namespaces/${namespace}`, {
      signal: AbortSignal.timeout(2000),
    });
    return answer.ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

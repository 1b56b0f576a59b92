/**
 * The whole product at once: starts everything on this machine, lets two customers process a video, shows their
 * progress, checks what came out, stops everything.
 */
import { constants, existsSync } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname, join, relative, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isAlive } from '../launchers/local/process-identity.ts';
import { stopAll } from '../launchers/local/stop-run.ts';
import { readIdentity } from '../machine/machine-process.ts';
import { makeMediaFolder, System } from '../machine/system.ts';
import { type AgendaProgress, client, type Request } from './demo/client.ts';
import { type Kill, killPoolWorker, wasAdopted } from './demo/kill-pool-worker.ts';
import { readResult, resultLines } from './demo/results.ts';
import { Screen } from './demo/screen.ts';
import { mediaAgenda } from './media/agenda.ts';
import { makeClip } from './media/make-clip.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const customers = [
  { id: 'acme', title: 'Acme Studios', videos: ['trailer', 'interview'] },
  { id: 'globex', title: 'Globex News', videos: ['headlines', 'weather'] },
] as const;
const pool = 'demo';
/** Agendas at once: two of these saturate two cores. */
const maximumRunning = 2;

/** One submitted Agenda. */
interface Submitted {
  readonly customer: string;
  readonly title: string;
  readonly request: Request;
  readonly agendaId: string;
  readonly progressId: string;
  readonly operations: readonly { readonly name: string; readonly type: string }[];
  progress: AgendaProgress;
}

const help = `npm run demo -- [options]
  --video FILE        process this video; without it one is made
  --keep              stay until Ctrl-C, to look around
  --kill-pool-worker  kill the pool worker in the middle of a transcode
  --json              what happened as one JSON object on stdout; talk goes to stderr`;
const options = readOptions();
/** A transcode, which uses all cores, must outlive the death and the return of a pool worker. */
const clipShape = {
  seconds: options['kill-pool-worker'] ? Math.max(24, 12 * availableParallelism()) : 8,
  width: 960,
  height: 540,
};
const screen = new Screen(options.json ? process.stderr : process.stdout);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort(signal));

process.exitCode = await demo().catch((error: unknown) => {
  screen[Symbol.dispose]();
  if (interrupted.signal.aborted) return 130;
  process.stderr.write(`The demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        video: { type: 'string' },
        keep: { type: 'boolean' },
        'kill-pool-worker': { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(help);
      process.exit(0);
    }
    if (values.video !== undefined && !existsSync(values.video)) throw new Error(`There is no video ${values.video}.`);
    return values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

async function demo(): Promise<number> {
  const home = await freshHome();
  const media = await makeMediaFolder(home);
  const began = Date.now();
  screen.say('Starting Postgres, a Temporal server, the api, a control worker and a pool worker …');
  await using system = await System.start({
    home,
    signal: interrupted.signal,
    poolId: pool,
    registry: join(here, 'media', 'registry.json'),
    say: (line) => screen.say(line),
    // So that a pool worker's death is noticed while the picture still moves.
    environment: { POP_HEARTBEAT_SECONDS: '3' },
  });
  const startSeconds = secondsSince(began);
  screen.say(`Ready after ${startSeconds} s.`);
  screen.say(`  API              ${system.urls.api}`);
  screen.say(`  API reference    ${system.urls.reference}`);
  screen.say(`  Temporal Web UI  ${system.urls.temporalUi}`);
  interrupted.signal.throwIfAborted();

  const video = await provideVideo(media);
  await makeSettings(client(system.urls.api, system.keys.operator));
  const submitted = await submitAll(system, media, video);
  screen.say(`${customers.length} customers submitted ${submitted.length} Agendas; ${maximumRunning} may run at once.`);
  screen.say('');

  const watched = new AbortController();
  const killing = options['kill-pool-worker']
    ? killPoolWorker(system, 'large', (line) => screen.say(line), watched.signal)
    : undefined;
  // Seen when it is awaited; without this a fault while the picture is drawn would end the process at once.
  killing?.catch(() => undefined);
  try {
    await watch(submitted);
  } finally {
    watched.abort(new Error('The Agendas were over before a transcode was under way.'));
  }
  screen.leave();
  const failed = submitted.filter(({ progress }) => progress.processingStateMessage !== 'succeeded');
  if (failed.length > 0) throw new Error(failed.map(whyFailed).join('\n'));
  const killed = await killing;
  const results = await Promise.all(
    submitted.map(({ operations, progress }) => readResult(progress, namesOf(operations, 'transcode'))),
  );
  for (const [index, { customer, title }] of submitted.entries()) {
    const result = results[index];
    if (result === undefined) continue;
    screen.say('');
    screen.say(`${customer}, ${title}`);
    for (const line of resultLines(result, process.cwd())) screen.say(line);
  }
  screen.say('');
  const kill = killed === undefined ? undefined : { ...killed, adopted: await wasAdopted(system, killed) };
  if (kill !== undefined) tellOfKill(system, kill, submitted);
  const seconds = secondsSince(began);
  screen.say(`All ${submitted.length} Agendas succeeded, ${seconds} s after the start.`);
  if (options.json) {
    const agendas = submitted.map(({ customer, title, agendaId, progress }, index) => ({
      customer,
      title,
      agendaId,
      progress,
      result: results[index],
    }));
    const { api, temporalUi } = system.urls;
    process.stdout.write(
      `${JSON.stringify({ startSeconds, seconds, home, urls: { api, temporalUi }, agendas, kill })}\n`,
    );
  }
  if (options.keep) await stayUntilInterrupted(system);
  screen.say('Stopping.');
  return 0;
}

/** An empty directory for all that the demo keeps. @throws when another demo runs there */
async function freshHome(): Promise<string> {
  const home = resolve(process.env.POP_HOME ?? join(here, '..', '.pop'), 'demo');
  const other = await readIdentity(join(home, 'data', 'pids', 'system.json'));
  if (other !== undefined && isAlive(other)) throw new Error(`A demo already runs on ${home} (process ${other.pid}).`);
  // A demo that was killed leaves its handlers to be adopted; nobody will.
  await stopAll(join(home, 'data', 'runs'));
  await rm(home, { recursive: true, force: true });
  return home;
}

/** The video that all Agendas process, in the folder that handlers may read. */
async function provideVideo(media: string): Promise<string> {
  if (options.video !== undefined) {
    const copy = join(media, `video${extname(options.video)}`);
    // Takes no second place on disk where the file system can share blocks.
    await copyFile(options.video, copy, constants.COPYFILE_FICLONE);
    return copy;
  }
  const video = join(media, 'clip.mp4');
  await makeClip({ target: video, ...clipShape });
  screen.say(
    `Made ${relative(process.cwd(), video)} with ffmpeg: ` +
      `${clipShape.width}×${clipShape.height}, ${clipShape.seconds} s.`,
  );
  return video;
}

/** What an operator sets up once: where Agendas run, which go through which queue, and who may submit. */
async function makeSettings(operator: Request): Promise<void> {
  await operator('POST', '/resourcepool', { id: pool, customerId: 'operations', title: 'This machine' });
  for (const { id, title } of customers)
    await operator('POST', '/customer', { id, customerId: id, title, resourcePoolId: pool });
  await operator('POST', '/insight', {
    id: 'media',
    customerId: 'operations',
    title: 'Video',
    resourcePoolId: pool,
    mappers: { operationType: ['mediaInfo'] },
    isGlobal: true,
    maximumRunning,
  });
}

/** Each customer submits with a key of its own. */
async function submitAll(system: System, media: string, video: string): Promise<Submitted[]> {
  const operator = client(system.urls.api, system.keys.operator);
  const requests = await Promise.all(
    customers.map(async ({ id, title }) => {
      const { key } = await operator<{ key: string }>('POST', '/apikey', {
        title,
        accounts: [id],
        scopes: ['submit', 'read'],
      });
      return client(system.urls.api, key);
    }),
  );
  const submitted: Submitted[] = [];
  for (const index of [0, 1]) {
    for (const [at, { id, title: customer, videos }] of customers.entries()) {
      const request = requests[at];
      const title = videos[index];
      if (request === undefined || title === undefined) continue;
      const agenda = mediaAgenda({ customerId: id, title, source: video, folder: join(media, 'output', id, title) });
      const { id: agendaId, progressId } = await request<{ id: string; progressId: string }>('POST', '/agenda', agenda);
      const progress = await request<AgendaProgress>('GET', `/progress/agenda/${progressId}`);
      submitted.push({ customer, title, request, agendaId, progressId, operations: agenda.operations, progress });
    }
  }
  return submitted;
}

/** Asks and draws until every Agenda is complete. */
async function watch(submitted: readonly Submitted[]): Promise<void> {
  for (;;) {
    const open = submitted.filter(({ progress }) => progress.processingState !== 'COMPLETE');
    if (open.length === 0) return;
    await Promise.all(
      open.map(async (agenda) => {
        agenda.progress = await agenda.request<AgendaProgress>('GET', `/progress/agenda/${agenda.progressId}`);
      }),
    );
    screen.show(submitted);
    await delay(300, undefined, { signal: interrupted.signal });
  }
}

function tellOfKill(system: System, kill: Kill & { readonly adopted: boolean }, submitted: readonly Submitted[]): void {
  const progress = submitted.find(({ agendaId }) => agendaId === kill.agendaId)?.progress;
  const operation = progress?.operationProgress.find(({ operation }) => operation === kill.operation);
  const { adopted } = kill;
  screen.say(
    `"${kill.operation}" ${operation?.processingStateMessage ?? 'is unknown'}: ` +
      `process ${kill.handler.pid} went on alone and ` +
      `${adopted ? 'was adopted by the new pool worker' : 'was not adopted'}; launches: ${operation?.launch}.`,
  );
  if (!adopted || operation?.launch !== 1)
    throw new Error(`"${kill.operation}" was not adopted; see ${system.logFile('pool')}.`);
}

function namesOf(operations: Submitted['operations'], type: string): string[] {
  return operations.filter((operation) => operation.type === type).map(({ name }) => name);
}

function whyFailed({ customer, title, progress }: Submitted): string {
  const reasons = [
    progress,
    ...progress.operationProgress.filter((each) => each.processingStateMessage === 'failed'),
  ].flatMap((each) =>
    (each.diagnosticEvents ?? []).map(({ message }) => `${'operation' in each ? `${each.operation}: ` : ''}${message}`),
  );
  return [`${customer}, ${title} ${progress.processingStateMessage}.`, ...reasons].join('\n  ');
}

async function stayUntilInterrupted(system: System): Promise<void> {
  screen.say(`Still running; Ctrl-C stops it. The operator's key is in ${join(system.data, 'keys.json')}.`);
  // The children keep nobody alive; a pending timer does.
  const alive = setInterval(() => undefined, 60_000);
  await new Promise<void>((done) => {
    if (interrupted.signal.aborted) done();
    else interrupted.signal.addEventListener('abort', () => done(), { once: true });
  });
  clearInterval(alive);
}

function secondsSince(time: number): number {
  return Math.round((Date.now() - time) / 100) / 10;
}

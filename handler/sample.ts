/**
 * The sample handler, for trying things out: does the actions of its payload in order, then returns `resultPayload`.
 * The payload is `{ actions: [{ action, paramsMap }], resultPayload }`; every action may also sleep for
 * `paramsMap.sleepMilliseconds`. Actions:
 *   log              prints `logMessage`
 *   exception        fails with `exceptionMessage`, and `code`, `statusCode`, `payload` when given
 *   externalExecute  runs `externalArgs`, program and arguments, as a child process; its output is ours, its failure
 *                    too. Only command lines that `commands` of the registry entry lists. Where `-externalLaunchType`
 *                    or `POP_EXTERNAL_LAUNCH` says `kubernetes` or `docker`, in a Pod or container of its own, of the
 *                    image `pop.handler.sample.image`
 *   environment      prints the variables of the handler contract and adds them to the result as `environment`
 * It pretends to follow a job elsewhere: the job's id is reported in `params.jobInfo.jobId`, and the next attempt goes
 * on with that job.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { allowedCommands, isAllowed } from './allowed-commands.ts';
import {
  externalLaunch,
  type Fields,
  fail,
  type HandlerContext,
  type Json,
  type JsonObject,
  type PodWishes,
  runHandler,
} from './index.ts';

interface Action {
  readonly action: string;
  readonly params: JsonObject;
}

type Command = readonly [program: string, ...rest: string[]];

const contractVariables = new Set([
  ...['PAYLOAD', 'LAST_PROGRESS', 'CID', 'AGENDA_ID', 'CUSTOMER_ID', 'OPERATION_ID', 'OPERATION_NAME', 'PROGRESS_ID'],
  ...['MY_POD_NAME', 'LOG_LEVEL', 'TRACEPARENT'],
]);
/** How the host is laid out is not the submitter's to know; segments of a compressed payload are too long to show. */
const isHidden = (name: string): boolean => /^POP_(COMPRESSED_.*|COMMANDS|READ_ROOTS|WRITE_ROOTS)$/.test(name);
/** Of the handler contract, and to be shown. */
const isOfContract = (name: string): boolean => contractVariables.has(name) || (/^POP_./.test(name) && !isHidden(name));
const tickMilliseconds = 1_000;
/** As POP's sample. */
const defaultImage = 'alpine:3.11';

await runHandler(async (context) => {
  const { payload, report, log, lastProgress } = context;
  const input = asObject(payload) ?? fail('The payload is not an object.', { code: 'invalidPayload' });
  const actions = readActions(input.actions);
  const earlierJob = asObject(asObject(lastProgress?.params)?.jobInfo)?.jobId;
  const jobId = typeof earlierJob === 'string' ? earlierJob : randomUUID();
  log(jobId === earlierJob ? `Going on with job ${jobId}` : `Began job ${jobId}`);
  report({ percentComplete: 0, params: { jobInfo: { jobId } } });
  let result = input.resultPayload;
  for (const [index, { action, params }] of actions.entries()) {
    report({ message: action });
    if (action === 'environment') result = { ...asObject(result), environment: contractEnvironment(log) };
    else await perform(action, params, context);
    await sleep(Number(params.sleepMilliseconds ?? 0), context, (part) =>
      report({ percentComplete: (100 * (index + part)) / actions.length }),
    );
  }
  return result;
});

async function perform(action: string, params: JsonObject, context: HandlerContext): Promise<void> {
  if (action === 'log') context.log(textOf(params.logMessage) ?? '');
  else if (action === 'exception') {
    const { statusCode, payload } = params;
    fail(textOf(params.exceptionMessage) ?? 'The sample was asked to fail.', {
      code: textOf(params.code) ?? 'sampleException',
      ...(typeof statusCode === 'number' && { statusCode }),
      ...(payload !== undefined && { payload }),
    });
  } else await execute(commandOf(params), context);
}

/** A process, or where the launch says so a Pod or container; its failure is ours. */
async function execute([program, ...rest]: Command, { fields, runExternal }: HandlerContext): Promise<void> {
  const volumes = nfsVolumes(fields);
  await runExternal({
    ...(externalLaunch({}, fields) !== 'local' && { image: fields.get('pop.handler.sample.image') ?? defaultImage }),
    command: [program],
    args: rest,
    ...(volumes !== undefined && { kubernetes: volumes }),
  });
}

/** POP's properties `pop.handler.sample.nfs.*`: one export, mounted at each of `mountPaths`. */
function nfsVolumes(fields: Fields): PodWishes | undefined {
  const property = (name: string): string | undefined => fields.get(`pop.handler.sample.nfs.${name}`);
  const server = property('server');
  if (server === undefined) return undefined;
  const readOnly = property('readOnly') === 'true';
  const mountPaths = (property('mountPaths') ?? '/nfs').split(',').map((path) => path.trim());
  return {
    volumes: [{ name: 'nfs', nfs: { server, path: property('serverPath') ?? '/', readOnly } }],
    volumeMounts: mountPaths.map((mountPath) => ({ name: 'nfs', mountPath, readOnly })),
  };
}

/** The command line of an externalExecute. Fails when the registry does not allow it. */
function commandOf({ externalArgs }: JsonObject): Command {
  const words = Array.isArray(externalArgs) ? externalArgs : [];
  const [program, ...rest] = words.filter((word) => typeof word === 'string');
  if (program === undefined || rest.length + 1 < words.length) {
    fail('externalExecute needs "externalArgs", a list of texts: the program and its arguments.', {
      code: 'invalidPayload',
    });
  }
  const commands = allowedCommands(process.env);
  if (isAllowed([program, ...rest], commands)) return [program, ...rest];
  const asked = JSON.stringify(words).slice(0, 200);
  fail(
    commands.length === 0
      ? `externalExecute is refused: ${asked}. The registry entry of this type lists no "commands". ` +
          'An operator allows one there, as ' +
          '"commands": [{ "program": "echo", "args": ["{word}"], "placeholders": { "word": "[a-z]+" } }].'
      : `externalExecute is refused: ${asked} is none of the "commands" that the registry entry of this type lists.`,
    { code: 'commandNotAllowed' },
  );
}

async function sleep(milliseconds: number, { signal }: HandlerContext, tick: (part: number) => void): Promise<void> {
  for (let slept = 0; slept < milliseconds; slept += tickMilliseconds) {
    tick(slept / milliseconds);
    await delay(Math.min(tickMilliseconds, milliseconds - slept), undefined, { signal });
  }
  tick(1);
}

function contractEnvironment(log: (message: string) => void): JsonObject {
  const variables = Object.entries(process.env).filter(([name]) => isOfContract(name));
  for (const [name, value] of variables) log(`${name}=${value}`);
  return Object.fromEntries(variables.map(([name, value]) => [name, value ?? null]));
}

/** All actions are checked before the first one is done. */
function readActions(value: Json | undefined): Action[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) fail('"actions" is not a list.', { code: 'invalidPayload' });
  return value.map((each) => {
    const action = textOf(asObject(each)?.action);
    if (action === undefined || !['log', 'exception', 'externalExecute', 'environment'].includes(action)) {
      fail(`Unknown action: ${action ?? JSON.stringify(each)}`, { code: 'unknownAction' });
    }
    const params = asObject(asObject(each)?.paramsMap) ?? {};
    if (action === 'externalExecute') commandOf(params);
    return { action, params };
  });
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

function textOf(value: Json | undefined): string | undefined {
  return value === undefined || value === null ? undefined : typeof value === 'string' ? value : JSON.stringify(value);
}

/** What the engine is asked for, of one run: plain data. */
import type { ContainerCreateOptions, DeviceRequest } from 'dockerode';
import {
  type ContractFiles,
  contractArguments,
  contractEnvironment,
  usualEnvironment,
} from '../contract-environment.ts';
import { quantityOf } from '../quantity.ts';
import { handlerFileNames } from '../run-directory/records.ts';
import type { DockerRun } from './docker-run.ts';
import { labelsOf } from './labels.ts';
import { boxOf } from './run-directory.ts';

/** Where the container finds its side of the run directory. */
const boxTarget = '/pop';
/** Where the container finds its payload, whatever its type. */
export const payloadTarget = `${boxTarget}/${handlerFileNames.payload}`;
/** More is a program that makes processes without end. */
const mostProcesses = 4_096;
/** Parts of a processor's time that one cpu counts, when there is less than all ask for. */
const sharesOfCpu = 1_024;
/** Room for lines of few bytes, each of which takes about 100 in a log file. */
const leastLogFileBytes = 16 * 1024 * 1024;

/** What is the same for all containers of a launcher. */
export interface EngineSide {
  readonly place: string;
  /** The engine has an init process to put first in a container. */
  readonly hasInit: boolean;
}

/** The request that creates the container. */
export function containerOptions(
  run: DockerRun,
  directory: string,
  { place, hasInit }: EngineSide,
): ContainerCreateOptions {
  const { settings } = run;
  const files = filesOf(run);
  const parameters = [
    ...settings.arguments,
    ...(settings.contract === 'pop1' ? contractArguments('docker', files) : []),
  ];
  const environment = { ...usualEnvironment(), ...settings.envVars, ...contractEnvironment(run, settings, files) };
  return {
    name: run.key,
    Image: settings.image,
    ...(settings.command !== undefined && { Entrypoint: [...settings.command] }),
    ...((settings.command !== undefined || parameters.length > 0) && { Cmd: parameters }),
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(run, place),
    ...(settings.user !== undefined && { User: settings.user }),
    HostConfig: {
      NetworkMode: settings.network,
      Mounts: [
        { Type: 'bind', Source: boxOf(directory), Target: boxTarget, ReadOnly: false },
        ...settings.mounts.map(({ source, target, readOnly }) => ({
          Type: 'bind' as const,
          Source: source,
          Target: target,
          ReadOnly: readOnly,
        })),
      ],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: mostProcesses,
      // As the first process of its container, a program that does not ask for SIGTERM would never see it.
      ...(hasInit && { Init: true }),
      RestartPolicy: { Name: 'no' },
      ...limitsOf(run),
      LogConfig: {
        Type: 'json-file',
        Config: { 'max-size': String(Math.max(leastLogFileBytes, 8 * settings.logBytes)), 'max-file': '2' },
      },
    },
  };
}

function limitsOf({ settings: { resources } }: DockerRun) {
  const memory = resources.memory === undefined ? undefined : quantityOf(resources.memory);
  const cpu = resources.cpuLimit === undefined ? undefined : quantityOf(resources.cpuLimit);
  const bytes = memory === undefined ? undefined : Math.ceil(memory);
  return {
    // Memory and swap together are no more than memory: nothing is swapped out.
    ...(bytes !== undefined && { Memory: bytes, MemorySwap: bytes }),
    ...(cpu !== undefined && { NanoCpus: Math.round(cpu * 1e9) }),
    CpuShares: Math.max(2, Math.round((quantityOf(resources.cpuRequest) ?? 1) * sharesOfCpu)),
    ...(resources.gpu !== undefined && { DeviceRequests: [gpus(resources.gpu)] }),
  };
}

function gpus(count: number): DeviceRequest {
  return { Driver: '', Count: count, Capabilities: [['gpu']] };
}

function filesOf(run: DockerRun): ContractFiles {
  const at = (name: string) => `${boxTarget}/${name}`;
  return {
    payload: at(handlerFileNames.payload),
    ...(run.lastProgress !== undefined && { lastProgress: at(handlerFileNames.lastProgress) }),
    ...(run.report !== undefined && { token: at(handlerFileNames.token) }),
    progress: at(handlerFileNames.progress),
    result: at(handlerFileNames.result),
  };
}

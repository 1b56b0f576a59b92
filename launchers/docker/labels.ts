/** The labels of a container, which say whose run it is to any worker of the engine. */
import { createHash } from 'node:crypto';
import type { Fence } from '../../messages/resource-pool.ts';
import type { OperationOfRun } from '../launcher.ts';
import type { DockerRun } from './docker-run.ts';

/** Says which place a container belongs to. */
export const placeLabel = 'pop.place';

/** The labels of a run's container; those of the registry cannot take their place. */
export function labelsOf(run: DockerRun, place: string): Record<string, string> {
  return {
    ...run.settings.labels,
    'pop.agenda': run.agendaId,
    'pop.attempt': String(run.attempt),
    'pop.operation': run.operation,
    'pop.operation-attempt': String(run.operationAttempt),
    'pop.launch': String(run.launch),
    'pop.customer': run.customerId,
    ...(run.insightId !== undefined && { 'pop.insight': run.insightId }),
    'pop.type': run.type,
    'pop.spec': specOf(run),
    [placeLabel]: place,
  };
}

/** Whose run a container is, by its labels; undefined when they are not this launcher's. */
export function fenceOfLabels(labels: Readonly<Record<string, string>>): Fence | undefined {
  const agendaId = labels['pop.agenda'];
  const operation = labels['pop.operation'];
  const [attempt, operationAttempt, launch] = ['pop.attempt', 'pop.operation-attempt', 'pop.launch'].map((name) =>
    Number(labels[name]),
  );
  if (agendaId === undefined || operation === undefined) return undefined;
  if (!isCount(attempt) || !isCount(operationAttempt) || !isCount(launch)) return undefined;
  return { agendaId, attempt, operation, operationAttempt, launch };
}

/** What the engine is asked with for the runs of one Operation. */
export const labelsOfOperation = ({ agendaId, attempt, operation }: OperationOfRun): readonly string[] => [
  `pop.agenda=${agendaId}`,
  `pop.attempt=${attempt}`,
  `pop.operation=${operation}`,
];

/** Tells what was asked for, so that one who looks at a container sees whether its registry entry has changed since. */
function specOf({ type, settings }: DockerRun): string {
  return createHash('sha256')
    .update(JSON.stringify([type, settings]))
    .digest('hex')
    .slice(0, 16);
}

const isCount = (value: number | undefined): value is number => value !== undefined && Number.isSafeInteger(value);

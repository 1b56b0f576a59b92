/**
 * The plan of an Agenda in pieces, so that none is larger than what one answer of an activity should be, however large
 * the Agenda is.
 */
import { jsonBytes } from '../../agenda/json-bytes.ts';
import type { OperationOutcome } from '../../agenda/outcomes.ts';
import type { OperationTimeout } from '../../agenda/types.ts';
import { type PlannedOperation, readPlanned } from '../../db/agenda/read-plan.ts';
import type { PlanPiece, PlanPosition } from '../../workflows/activities.ts';
import type { ControlParts } from './parts.ts';

/** How large a piece may be: its JSON in bytes, and the Operations in it. */
export interface PieceLimits {
  readonly bytes: number;
  readonly operations: number;
}

/** Temporal warns of payloads from 256 KiB on, and takes 2 MiB. */
export const pieceLimits: PieceLimits = { bytes: 128 * 1024, operations: 1_000 };

/**
 * An Operation without limits of its own may take this long in all; the registry's limits are the pool's and usually
 * shorter.
 */
const longestSeconds = 30 * 24 * 3600;
/** On top of the limits: stopping, reporting, adopting. */
const marginSeconds = 600;
/**
 * What an Operation has in a piece beside its name, type and dependencies: its seconds, its ending, quotes and commas.
 */
const otherBytes = 80;

/** Reads the piece that begins there; undefined when the attempt is not the running one. Changes nothing. */
export async function readPiece(
  { database }: ControlParts,
  key: { readonly agendaId: string; readonly attempt: number },
  from: PlanPosition,
  limits: PieceLimits = pieceLimits,
): Promise<PlanPiece | undefined> {
  const operations = await readPlanned(database, key, from, limits);
  return operations.length === 0 ? undefined : cutPiece(operations, from, limits.bytes);
}

/** As many of these Operations as fit into so many bytes; the last may have only some of its dependencies. */
export function cutPiece(operations: readonly PlannedOperation[], from: PlanPosition, mostBytes: number): PlanPiece {
  const taken: PlannedOperation[] = [];
  let room = mostBytes;
  let more: PlanPosition | undefined;
  for (const operation of operations) {
    const known = operation.index === from.operation ? from.dependency : 0;
    room -= jsonBytes(operation.name) + jsonBytes(operation.type) + otherBytes;
    more = { operation: operation.index, dependency: known };
    if (room < 0 && taken.length > 0) break;
    const dependencies = within(operation.dependencies, room, taken.length === 0 ? 1 : 0);
    room -= jsonBytes(dependencies);
    taken.push({ ...operation, dependencies });
    more = { operation: operation.index, dependency: known + dependencies.length };
    if (dependencies.length < operation.dependencies.length) break;
    more = operation.index === operation.last ? undefined : { operation: operation.index + 1, dependency: 0 };
  }
  return { from, ...ofPlan(taken), ...(more === undefined ? {} : { more }) };
}

/** The first numbers whose JSON stays within so many bytes, but at least so many of them. */
function within(numbers: readonly number[], bytes: number, least: number): number[] {
  let left = bytes - 2;
  const tooMuch = numbers.findIndex((number) => {
    left -= String(number).length + 1;
    return left < 0;
  });
  return numbers.slice(0, tooMuch < 0 ? numbers.length : Math.max(least, tooMuch));
}

const ofPlan = (operations: readonly PlannedOperation[]) => ({
  names: operations.map(({ name }) => name),
  types: operations.map(({ type }) => type),
  dependencies: operations.map(({ dependencies }) => dependencies),
  ended: operations.flatMap(({ index, state, message }) =>
    state === 'COMPLETE' ? [{ index, outcome: message as OperationOutcome }] : [],
  ),
  startToCloseSeconds: operations.map(({ timeout }) => startToCloseSeconds(timeout)),
});

function startToCloseSeconds(timeout: OperationTimeout | null): number {
  const run = timeout?.runSeconds;
  return run === undefined ? longestSeconds : run + (timeout?.scheduledSeconds ?? 0) + marginSeconds;
}

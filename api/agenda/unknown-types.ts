/** What is said of Operation types that no pool worker serves, or that nobody could look up. */
import { quoted } from '../../agenda/cut.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import { residentTypes } from '../../agenda/residents.ts';
import type { Agenda, Fault } from '../../agenda/types.ts';
import type { Database } from '../../db/connect.ts';
import { readKnownTypes } from '../../db/pool/told-types.ts';
import { nearestName } from '../http/nearest-name.ts';

/** Most types that are listed. */
const mostListed = 10;

/** The faults, those of unknown types with the nearest known one, or with those that there are. */
export async function withKnownTypes(
  database: Database,
  resourcePoolId: string,
  { operations }: Agenda,
  faults: readonly Fault[],
): Promise<FaultList> {
  const list = new FaultList();
  const isUnknown = ({ code }: Fault) => code === 'unknownOperationType';
  const told = faults.some(isUnknown) ? await readKnownTypes(database, resourcePoolId) : [];
  const known = [...new Set([...residentTypes, ...told])].sort();
  for (const fault of faults) {
    list.add(() => {
      if (!isUnknown(fault)) return fault;
      const type = operations[Number(fault.pointer.split('/')[2])]?.type ?? '';
      const near = nearestName(type, known);
      const hint = near === undefined ? `Known are ${listed(known)}.` : `Did you mean ${quoted(near)}?`;
      return { ...fault, message: `${fault.message} ${hint}` };
    });
  }
  return list;
}

function listed(known: readonly string[]): string {
  const first = known.slice(0, mostListed).map(quoted).join(', ');
  return known.length > mostListed ? `${first} and ${known.length - mostListed} more` : first;
}

/** The warning to what was taken without knowing who serves it. */
export const uncheckedWarning = (resourcePoolId: string): Fault => ({
  pointer: '/operations',
  code: 'typesNotChecked',
  message:
    `No pool worker of the ResourcePool ${quoted(resourcePoolId)} has told of late which Operation types it serves: ` +
    'they were not checked, and one that nobody serves will fail.',
});

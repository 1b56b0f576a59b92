/**
 * Where the Operations of an Agenda leave what the next one needs: a folder on a share, from the property
 * `pop.handler.intermediate.path` such as `/mnt/work/{customerId}/{agendaId}/{operationName}`.
 * `pop.handler.intermediate.requiredPathTokens` lists the tokens that it must hold, so that nobody configures a folder
 * that all Agendas share.
 */
import type { Fields } from './fields.ts';
import { fail } from './handler-failure.ts';
import type { OperationFacts } from './inputs.ts';

const pathField = 'pop.handler.intermediate.path';
const requiredField = 'pop.handler.intermediate.requiredPathTokens';
const requiredByDefault = 'agendaId,operationName';

/** Values of tokens; the facts of the Operation are there already. */
export type PathTokens = Readonly<Record<string, string>>;

/** The folder of this Operation. Fails the Operation when it is not configured, or a token has no value. */
export function intermediatePath(fields: Fields, operation: OperationFacts, more: PathTokens = {}): string {
  const pattern = fields.get(pathField) ?? refuse(`"${pathField}" is not set`);
  const values: PathTokens = { ...namesOf(operation), ...more };
  const required = (fields.get(requiredField) ?? requiredByDefault).split(',').map((name) => name.trim());
  for (const name of required)
    if (name !== '' && !pattern.includes(`{${name}}`))
      refuse(`"${pathField}" is "${pattern}" and lacks the token {${name}}`);
  return pattern.replace(/\$?\{([^{}]*)\}/g, (_token, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) return refuse(`"${pathField}" has the token {${name}}, which nobody knows`);
    return value === '' ? refuse(`"${pathField}" has the token {${name}}, which is empty here`) : segmentOf(value);
  });
}

/** POP's short names of the ids, and ours. */
function namesOf(operation: OperationFacts): PathTokens {
  const { customerId, agendaId, operationName, ...rest } = operation;
  return {
    ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, String(value)])),
    ...{ customerId, agendaId, operationName },
    ...{ customer: customerId, agenda: agendaId, operation: operationName },
  };
}

/** One folder, whatever the value holds: no slash, and neither `.` nor `..`. Different values stay different. */
function segmentOf(value: string): string {
  const encoded = encodeURIComponent(value);
  return /^\.+$/.test(encoded) ? encoded.replaceAll('.', '%2E') : encoded;
}

function refuse(why: string): never {
  fail(`There is no intermediate path: ${why}.`, { code: 'intermediatePath' });
}

import { pointerSegment } from './json-pointer.ts';
import { findReferences, type Reference } from './references.ts';
import { type Json, type JsonObject, maximumNameLength, maximumOperations, type Operation } from './types.ts';

/** Tokens that every payload may use besides the results of Operations. */
export const builtInNames: readonly string[] = ['pop.agendaId', 'pop.operationName'];

/** Longest `params.dependsOn`: room for the names of all Operations of an Agenda. */
export const longestCommaList = maximumOperations * (maximumNameLength + 2);

/** Something an Operation names: `name` is the other Operation's, `pointer` where it stands in the Operation. */
export interface NamedDependency {
  readonly name: string;
  readonly pointer: string;
}

/** What an Operation's text says about others. `references` are tokens for results, `others` all remaining tokens but the built-in ones. */
export interface OperationMentions {
  readonly references: readonly (Reference & NamedDependency)[];
  readonly others: readonly Reference[];
  readonly dependsOn: readonly NamedDependency[];
}

/** Reads references and `dependsOn` of one Operation; malformed `dependsOn` entries are left to `validateAgenda`. */
export function mentionsOf(operation: Operation): OperationMentions {
  const results: (Reference & NamedDependency)[] = [];
  const others: Reference[] = [];
  for (const reference of findReferences(operation.payload ?? null)) {
    const operationName = operationNameOf(reference.name);
    if (operationName !== undefined) results.push({ ...reference, name: operationName, pointer: `/payload${reference.path}` });
    else if (!builtInNames.includes(reference.name)) others.push(reference);
  }
  return { references: results, others, dependsOn: dependsOnOf(operation) };
}

/** The Operation behind a token's name (`a` of `a.out`), or undefined when the token is not for a result. */
export function operationNameOf(tokenName: string): string | undefined {
  return tokenName.endsWith('.out') && tokenName.length > '.out'.length ? tokenName.slice(0, -'.out'.length) : undefined;
}

function dependsOnOf(operation: Operation): NamedDependency[] {
  const named: NamedDependency[] = [];
  const list: unknown = operation.dependsOn;
  if (Array.isArray(list)) {
    list.forEach((name: unknown, index) => {
      if (typeof name === 'string') named.push({ name, pointer: `/dependsOn${pointerSegment(index)}` });
    });
  }
  const commaList = ownParam(operation.params, 'dependsOn');
  if (typeof commaList === 'string' && commaList.length <= longestCommaList) {
    for (const part of commaList.split(',')) if (part.trim() !== '') named.push({ name: part.trim(), pointer: '/params/dependsOn' });
  }
  return named;
}

/** One param, never an inherited one. */
export function ownParam(params: JsonObject | null | undefined, key: string): Json | undefined {
  return params !== null && typeof params === 'object' && Object.hasOwn(params, key) ? params[key] : undefined;
}

/**
 * Per Operation, the indexes of the Operations it waits for: those behind its references, its `dependsOn` and POP's
 * comma list `params.dependsOn`, each once, ascending. Names match by exact case, as POP's references do, although two
 * names may not differ by case alone; unknown names are left out (`validateAgenda` reports them).
 */
export function dependenciesOf(operations: readonly Operation[]): number[][] {
  const indexes = indexesByName(operations);
  return operations.map((operation) => {
    const { references, dependsOn } = mentionsOf(operation);
    return resolveDependencies([...references, ...dependsOn], indexes);
  });
}

/** The index of each exact name; of equal names the first. Names too long to be allowed are left out: many such cost much to keep apart. */
export function indexesByName(operations: readonly Operation[]): ReadonlyMap<string, number> {
  const indexes = new Map<string, number>();
  operations.forEach((operation, index) => {
    const { name } = operation;
    if (typeof name === 'string' && name.length > maximumNameLength) return;
    if (!indexes.has(name)) indexes.set(name, index);
  });
  return indexes;
}

/** The distinct indexes behind `named`, ascending. */
export function resolveDependencies(named: readonly NamedDependency[], indexes: ReadonlyMap<string, number>): number[] {
  const found = new Set<number>();
  for (const { name } of named) {
    const index = indexes.get(name);
    if (index !== undefined) found.add(index);
  }
  return [...found].sort((a, b) => a - b);
}

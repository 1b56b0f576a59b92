import type { Path } from './depth.ts';
import { type VisitedReference, visitReferences } from './references.ts';
import { type Json, type JsonObject, maximumNameLength, maximumOperations, type Operation } from './types.ts';

/** Tokens that every payload may use besides the results of Operations. */
export const builtInNames: readonly string[] = ['pop.agendaId', 'pop.operationName'];

/** Longest `params.dependsOn`: room for the names of all Operations of an Agenda. */
export const longestCommaList = maximumOperations * (maximumNameLength + 2);

/** What hears of all that an Operation says about others. Paths lead into the Operation, and change after the call. */
export interface MentionVisitor {
  /** A token for the result of the Operation `name`. */
  readonly reference: (name: string, reference: VisitedReference, path: Path) => void;
  /** All remaining tokens but the built-in ones. */
  readonly other?: (reference: VisitedReference, path: Path) => void;
  /** A name in `dependsOn` or in POP's comma list. */
  readonly dependsOn: (name: string, path: Path) => void;
}

/**
 * Reads references and `dependsOn` of one Operation, in this order; malformed `dependsOn` entries are left to
 * `validateAgenda`. Keeps nothing.
 */
export function visitMentions(operation: Operation, visitor: MentionVisitor): void {
  visitReferences(operation.payload ?? null, (reference, path) => {
    const operationName = operationNameOf(reference.name);
    if (operationName !== undefined) visitor.reference(operationName, reference, path);
    else if (!builtInNames.includes(reference.name)) visitor.other?.(reference, path);
  });
  const list: unknown = operation.dependsOn;
  if (Array.isArray(list)) {
    const path: [string, number] = ['dependsOn', 0];
    list.forEach((name: unknown, index) => {
      path[1] = index;
      if (typeof name === 'string') visitor.dependsOn(name, path);
    });
  }
  const commaList = ownParam(operation.params, 'dependsOn');
  if (typeof commaList === 'string' && commaList.length <= longestCommaList) {
    for (const part of commaList.split(','))
      if (part.trim() !== '') visitor.dependsOn(part.trim(), ['params', 'dependsOn']);
  }
}

/** The Operation behind a token's name (`a` of `a.out`), or undefined when the token is not for a result. */
export function operationNameOf(tokenName: string): string | undefined {
  return tokenName.endsWith('.out') && tokenName.length > '.out'.length
    ? tokenName.slice(0, -'.out'.length)
    : undefined;
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
    const found = new Set<number>();
    const enter = (name: string): void => {
      const index = indexes.get(name);
      if (index !== undefined) found.add(index);
    };
    visitMentions(operation, { reference: enter, dependsOn: enter });
    return ascending(found);
  });
}

/**
 * The index of each exact name; for equal names the first one. Names longer than allowed are left out, because many
 * such names cost much to keep apart.
 */
export function indexesByName(operations: readonly Operation[]): ReadonlyMap<string, number> {
  const indexes = new Map<string, number>();
  operations.forEach((operation, index) => {
    const { name } = operation;
    if (typeof name === 'string' && name.length > maximumNameLength) return;
    if (!indexes.has(name)) indexes.set(name, index);
  });
  return indexes;
}

/** The distinct indexes that were found, ascending. */
export function ascending(found: ReadonlySet<number>): number[] {
  return [...found].sort((a, b) => a - b);
}

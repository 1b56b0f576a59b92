/** Counts and looks at the values of a parsed body: members of objects and entries of lists. */
import { cut } from '../../agenda/cut.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import { pointerOf } from '../../agenda/json-pointer.ts';
import type { Fault } from '../../agenda/types.ts';
import { freeMembers } from './json-size.ts';

/**
 * How many values `root` holds outside of payloads and params. Stops counting where there are more than `most`.
 * Recurses as deep as it is nested.
 */
export function valuesOutside(root: unknown, most: number): number {
  let values = 0;
  const visit = (container: object): void => {
    if (Array.isArray(container)) {
      values += container.length;
      for (let index = 0; index < container.length && values <= most; index += 1) enter(container[index]);
      return;
    }
    const names = Object.keys(container);
    values += names.length;
    for (const name of names) {
      if (values > most) return;
      if (!freeMembers.includes(name)) enter((container as Record<string, unknown>)[name]);
    }
  };
  const enter = (value: unknown): void => {
    if (typeof value === 'object' && value !== null && values <= most) visit(value);
  };
  enter(root);
  return values;
}

/**
 * What JSON can spell and Postgres cannot keep: numbers that are not finite (`1e999`; they would come back as null),
 * and, where `text` is to be looked at, NUL characters and half surrogate pairs. Recurses as deep as the value is
 * nested.
 */
export function unkeepableFaults(root: unknown, options: { readonly text: boolean }): FaultList {
  const faults = new FaultList();
  const path: (string | number)[] = [];
  const visit = (container: object): void => {
    if (Array.isArray(container)) {
      for (let index = 0; index < container.length; index += 1) look(index, container[index]);
      return;
    }
    for (const name of Object.keys(container)) {
      if (options.text) check(name, name);
      look(name, (container as Record<string, unknown>)[name]);
    }
  };
  const look = (key: string | number, value: unknown): void => {
    if (typeof value === 'object' && value !== null) {
      path.push(key);
      visit(value);
      path.pop();
    } else {
      check(value, key);
    }
  };
  const check = (value: unknown, key?: string | number): void => {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      faults.add(() =>
        faultAt(key === undefined ? [] : [...path, key], 'notFinite', 'holds a number that is too large to be kept.'),
      );
    } else if (options.text && typeof value === 'string') {
      const what = value.includes('\u0000')
        ? 'a NUL character'
        : value.isWellFormed()
          ? undefined
          : 'half a surrogate pair';
      if (what !== undefined)
        faults.add(() =>
          faultAt(key === undefined ? [] : [...path, key], 'badCharacter', `holds ${what}, which cannot be stored.`),
        );
    }
  };
  if (typeof root === 'object' && root !== null) visit(root);
  else check(root);
  return faults;
}

function faultAt(path: readonly (string | number)[], code: string, what: string): Fault {
  const pointer = cut(pointerOf(path).replaceAll('\u0000', '\\u0000').toWellFormed());
  return { pointer, code, message: `${pointer === '' ? 'The body' : pointer} ${what}` };
}

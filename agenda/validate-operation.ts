import { cut } from './cut.ts';
import { longestCommaList, ownParam } from './dependencies.ts';
import { findTooDeep, isDeeperThan } from './depth.ts';
import type { FaultList } from './fault-list.ts';
import { jsonBytes } from './json-bytes.ts';
import { pointerOf } from './json-pointer.ts';
import {
  type Fault,
  type Json,
  maximumNameLength,
  maximumPayloadBytes,
  maximumReferenceDepth,
  type Operation,
  type OperationTimeout,
} from './types.ts';

/** Largest `weight`: sums of weights stay exact enough for a percentage. */
export const maximumWeight = 1_000_000;
/** Longest time limit of an Operation: 30 days. */
export const maximumTimeoutSeconds = 30 * 24 * 3600;

const timeoutFields: readonly (keyof OperationTimeout)[] = ['scheduledSeconds', 'quietSeconds', 'runSeconds'];

/** What is wrong with one Operation by itself, its payload aside: name, type, numbers, forms of `dependsOn`. */
export function validateOperation(faults: FaultList, operation: Operation, at: string): void {
  faults.addAll(nameFaults(operation.name, `${at}/name`));
  faults.addAll(typeFaults(operation.type, `${at}/type`));
  addDepthFaults(
    faults,
    operation.params ?? null,
    `${at}/params`,
    'paramsTooDeep',
    `The params of operation [${labelOf(operation.name)}]`,
  );
  addDependsOnFaults(faults, operation.dependsOn ?? [], `${at}/dependsOn`);
  faults.addAll(commaListFaults(ownParam(operation.params, 'dependsOn') ?? '', `${at}/params/dependsOn`));
  faults.addAll(weightFaults(operation.weight, `${at}/weight`));
  faults.addAll(timeoutFaults(operation.timeout, `${at}/timeout`));
}

const notText = (value: unknown, pointer: string, code: string, what: string): Fault => ({
  pointer,
  code: `${code}Invalid`,
  message: `An Operation's ${what} must be text; it is ${show(value)}.`,
});

function nameFaults(name: unknown, pointer: string): Fault[] {
  if (name !== undefined && name !== null && typeof name !== 'string')
    return [notText(name, pointer, 'operationName', 'name')];
  if (name === undefined || name === null || name.trim() === '')
    return [{ pointer, code: 'operationNameMissing', message: 'Operations must have names.' }];
  return textFaults(name, pointer, 'operationName', 'name');
}

function typeFaults(type: unknown, pointer: string): Fault[] {
  if (type !== undefined && type !== null && typeof type !== 'string')
    return [notText(type, pointer, 'operationType', 'type')];
  if (type === undefined || type === null || type.trim() === '')
    return [{ pointer, code: 'operationTypeMissing', message: 'Operations must have types.' }];
  return textFaults(type, pointer, 'operationType', 'type');
}

/**
 * Names and types become part of ids, columns and environment variables. None of these can hold control characters or
 * half a character.
 */
function textFaults(text: string, pointer: string, code: string, word: string): Fault[] {
  const faults: Fault[] = [];
  if (text.length > maximumNameLength) {
    faults.push({
      pointer,
      code: `${code}TooLong`,
      message: `An Operation's ${word} may have ${maximumNameLength} characters; this one has ${text.length}.`,
    });
  }
  if (/[\p{Cc}\p{Cs}]/u.test(text)) {
    faults.push({
      pointer,
      code: `${code}Malformed`,
      message: `An Operation's ${word} may not hold control characters or lone surrogates.`,
    });
  }
  return faults;
}

/** Reports what keeps a payload from being looked at, its nesting or its size. @returns whether it can be looked at */
export function checkPayload(faults: FaultList, operation: Operation, at: string): boolean {
  if (operation.payload === undefined) return true;
  const where = `The payload of operation [${labelOf(operation.name)}]`;
  const pointer = `${at}/payload`;
  // A value that is nested too deep cannot be measured: JSON.stringify recurses.
  if (isDeeperThan(operation.payload, maximumReferenceDepth)) {
    addDepthFaults(faults, operation.payload, pointer, 'payloadTooDeep', where);
    return false;
  }
  const bytes = jsonBytes(operation.payload);
  if (bytes <= maximumPayloadBytes) return true;
  faults.add(() => ({
    pointer,
    code: 'payloadTooLarge',
    message: `${where} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.`,
  }));
  return false;
}

/** One fault per outermost container that is nested deeper than `maximumReferenceDepth`. */
export function addDepthFaults(faults: FaultList, value: Json, pointer: string, code: string, where: string): void {
  findTooDeep(value, (path) => {
    faults.add(() => {
      const message = `${where} is nested deeper than the limit of ${maximumReferenceDepth}.`;
      return { pointer: pointer + pointerOf(path), code, message };
    });
  });
}

const dependsOnMalformed = 'dependsOnMalformed';

function addDependsOnFaults(faults: FaultList, list: unknown, pointer: string): void {
  if (!Array.isArray(list)) {
    faults.add(() => ({ pointer, code: dependsOnMalformed, message: 'dependsOn must be a list of operation names.' }));
    return;
  }
  list.forEach((name: unknown, index) => {
    if (typeof name === 'string' && name !== '') return;
    faults.add(() => ({
      pointer: `${pointer}/${index}`,
      code: dependsOnMalformed,
      message: 'dependsOn must hold operation names.',
    }));
  });
}

function commaListFaults(list: Json, pointer: string): Fault[] {
  if (typeof list !== 'string') {
    const message = 'params.dependsOn must be text: operation names with commas between them.';
    return [{ pointer, code: dependsOnMalformed, message }];
  }
  if (list.length <= longestCommaList) return [];
  const message = `params.dependsOn may have ${longestCommaList} characters; it has ${list.length}.`;
  return [{ pointer, code: dependsOnMalformed, message }];
}

function weightFaults(weight: unknown, pointer: string): Fault[] {
  if (weight === undefined || weight === null) return [];
  if (typeof weight === 'number' && weight > 0 && weight <= maximumWeight) return [];
  return [
    {
      pointer,
      code: 'weightInvalid',
      message: `weight must be a number above 0 and at most ${maximumWeight}; it is ${show(weight)}.`,
    },
  ];
}

function timeoutFaults(timeout: unknown, pointer: string): Fault[] {
  if (timeout === undefined || timeout === null) return [];
  if (typeof timeout !== 'object' || Array.isArray(timeout)) {
    return [
      { pointer, code: 'timeoutInvalid', message: `timeout must be an object with ${timeoutFields.join(', ')}.` },
    ];
  }
  const faults: Fault[] = [];
  for (const field of timeoutFields) {
    const seconds: unknown = Object.hasOwn(timeout, field) ? (timeout as Record<string, unknown>)[field] : undefined;
    if (seconds === undefined || seconds === null) continue;
    if (typeof seconds === 'number' && seconds > 0 && seconds <= maximumTimeoutSeconds) continue;
    const message = `${field} must be a number above 0 and at most ${maximumTimeoutSeconds}; it is ${show(seconds)}.`;
    faults.push({ pointer: `${pointer}/${field}`, code: 'timeoutInvalid', message });
  }
  return faults;
}

/** An Operation's name for a message, whatever was sent as one. An object as a name can have no text at all. */
export function labelOf(name: unknown): string {
  return typeof name === 'string' ? cut(name) : '';
}

/** A refused value for a message, short whatever it is. */
export function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `"${cut(value, 40)}"`;
  if (value === null || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'an object';
}

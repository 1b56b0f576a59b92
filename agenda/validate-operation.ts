import { longestCommaList, ownParam } from './dependencies.ts';
import { tooDeepAt } from './depth.ts';
import { jsonBytes } from './json-bytes.ts';
import { pointerSegment } from './json-pointer.ts';
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
export function validateOperation(operation: Operation, at: string): Fault[] {
  return [
    ...nameFaults(operation.name, `${at}/name`),
    ...typeFaults(operation.type, `${at}/type`),
    ...depthFaults(operation.params ?? null, `${at}/params`, 'paramsTooDeep', `The params of operation [${labelOf(operation.name)}]`),
    ...dependsOnFaults(operation, at),
    ...weightFaults(operation.weight, `${at}/weight`),
    ...timeoutFaults(operation.timeout, `${at}/timeout`),
  ];
}

const notText = (value: unknown, pointer: string, code: string, what: string): Fault => ({
  pointer,
  code: `${code}Invalid`,
  message: `An Operation's ${what} must be text; it is ${show(value)}.`,
});

function nameFaults(name: unknown, pointer: string): Fault[] {
  if (name !== undefined && name !== null && typeof name !== 'string') return [notText(name, pointer, 'operationName', 'name')];
  if (name === undefined || name === null || name.trim() === '')
    return [{ pointer, code: 'operationNameMissing', message: 'Operations must have names.' }];
  return textFaults(name, pointer, 'operationName', 'name');
}

function typeFaults(type: unknown, pointer: string): Fault[] {
  if (type !== undefined && type !== null && typeof type !== 'string') return [notText(type, pointer, 'operationType', 'type')];
  if (type === undefined || type === null || type.trim() === '')
    return [{ pointer, code: 'operationTypeMissing', message: 'Operations must have types.' }];
  return textFaults(type, pointer, 'operationType', 'type');
}

/** Names and types reach ids, columns and environment variables, none of which hold control characters or half a character. */
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

/** What keeps a payload from being looked at: its nesting or its size. */
export function payloadFaults(operation: Operation, at: string): Fault[] {
  if (operation.payload === undefined) return [];
  const where = `The payload of operation [${labelOf(operation.name)}]`;
  const pointer = `${at}/payload`;
  // A value that is nested too deep cannot be measured: JSON.stringify recurses.
  const deep = depthFaults(operation.payload, pointer, 'payloadTooDeep', where);
  if (deep.length > 0) return deep;
  const bytes = jsonBytes(operation.payload);
  if (bytes <= maximumPayloadBytes) return [];
  return [{ pointer, code: 'payloadTooLarge', message: `${where} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.` }];
}

/** One fault per outermost container that is nested deeper than `maximumReferenceDepth`. */
export function depthFaults(value: Json, pointer: string, code: string, where: string): Fault[] {
  const message = `${where} is nested deeper than the limit of ${maximumReferenceDepth}.`;
  return tooDeepAt(value).map((path) => ({ pointer: pointer + path, code, message }));
}

function dependsOnFaults(operation: Operation, at: string): Fault[] {
  const faults: Fault[] = [];
  const code = 'dependsOnMalformed';
  const list: unknown = operation.dependsOn ?? [];
  if (!Array.isArray(list)) faults.push({ pointer: `${at}/dependsOn`, code, message: 'dependsOn must be a list of operation names.' });
  else {
    list.forEach((name: unknown, index) => {
      if (typeof name === 'string' && name !== '') return;
      faults.push({ pointer: `${at}/dependsOn${pointerSegment(index)}`, code, message: 'dependsOn must hold operation names.' });
    });
  }
  const commaList = ownParam(operation.params, 'dependsOn') ?? '';
  if (typeof commaList !== 'string') {
    faults.push({
      pointer: `${at}/params/dependsOn`,
      code,
      message: 'params.dependsOn must be text: operation names with commas between them.',
    });
  } else if (commaList.length > longestCommaList) {
    faults.push({
      pointer: `${at}/params/dependsOn`,
      code,
      message: `params.dependsOn may have ${longestCommaList} characters; it has ${commaList.length}.`,
    });
  }
  return faults;
}

function weightFaults(weight: unknown, pointer: string): Fault[] {
  if (weight === undefined || weight === null) return [];
  if (typeof weight === 'number' && weight > 0 && weight <= maximumWeight) return [];
  return [
    { pointer, code: 'weightInvalid', message: `weight must be a number above 0 and at most ${maximumWeight}; it is ${show(weight)}.` },
  ];
}

function timeoutFaults(timeout: unknown, pointer: string): Fault[] {
  if (timeout === undefined || timeout === null) return [];
  if (typeof timeout !== 'object' || Array.isArray(timeout)) {
    return [{ pointer, code: 'timeoutInvalid', message: `timeout must be an object with ${timeoutFields.join(', ')}.` }];
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

/** An Operation's name for a message, whatever was sent as one: an object as a name can have no text at all. */
export function labelOf(name: unknown): string {
  return typeof name === 'string' ? clip(name) : '';
}

/** Text for a message: a name, a token, cut when it is longer than any good one. */
export function clip(text: string): string {
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

const longestShown = 200;

/** A refused value for a message, short whatever it is. */
export function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return value.length > 40 ? `"${value.slice(0, 40)}…"` : `"${value}"`;
  if (value === null || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'an object';
}

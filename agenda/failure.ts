/**
 * Why launches fail: the closed list of codes, each of one category. Codes are stable words for programs, the words for
 * people are in the diagnostic events. docs/failures.md tells each.
 */
import { type FailureCategory, failureCategories, type LaunchEnding } from './outcomes.ts';

/** Every code, with the category that it belongs to. */
export const failureCodes = {
  exitCode: 'handler',
  signal: 'handler',
  reportedFailure: 'handler',
  exception: 'handler',
  noProgress: 'handler',
  endOfLogMissing: 'handler',

  scheduledLimit: 'timeout',
  quietLimit: 'timeout',
  runLimit: 'timeout',

  outOfMemory: 'outOfMemory',

  lost: 'infrastructure',
  placeGone: 'infrastructure',
  drained: 'infrastructure',
  preempted: 'infrastructure',
  evicted: 'infrastructure',
  nodeLost: 'infrastructure',
  deleted: 'infrastructure',
  diskFull: 'infrastructure',
  noEnding: 'infrastructure',
  abandoned: 'infrastructure',

  unknownOperationType: 'configuration',
  commandNotFound: 'configuration',
  commandNotStarted: 'configuration',
  unknownFunction: 'configuration',
  imageUnavailable: 'configuration',
  containerNotStarted: 'configuration',
  podRefused: 'configuration',
  nameTaken: 'configuration',
  otherLauncher: 'configuration',
  invalidKey: 'configuration',

  payloadTooLarge: 'data',
  payloadInvalid: 'data',
  invalidReference: 'data',
  resultTooLarge: 'data',
  resultNotJson: 'data',
  resultTooDeep: 'data',
  resultNotReadable: 'data',
  reportRefused: 'data',

  cancelled: 'cancelled',
} as const satisfies Readonly<Record<string, FailureCategory>>;

/** Why a launch failed, as a stable word. */
export type FailureCode = keyof typeof failureCodes;

/** The codes of one category. */
export type FailureCodeOf<Category extends FailureCategory> = {
  [Code in FailureCode]: (typeof failureCodes)[Code] extends Category ? Code : never;
}[FailureCode];

/** Why a launch failed: whose matter it is, and the code. */
export interface Failure {
  readonly category: FailureCategory;
  readonly code: FailureCode;
}

/** A launch that fell victim to an orderly step of the infrastructure: these have a budget of their own. */
export const isDisplacement = (code: string | null): boolean => code === 'drained' || code === 'preempted';

/** The failure of this code. */
export const failureOf = (code: FailureCode): Failure => ({ category: failureCodes[code], code });

/** What is said of a category when the code is of a later version than this. */
const generalCodes: Readonly<Record<FailureCategory, FailureCode>> = {
  handler: 'reportedFailure',
  timeout: 'runLimit',
  outOfMemory: 'outOfMemory',
  infrastructure: 'lost',
  configuration: 'commandNotStarted',
  data: 'reportRefused',
  cancelled: 'cancelled',
};

const codesOfEndings: Readonly<Record<Exclude<LaunchEnding, 'succeeded'>, FailureCode>> = {
  failed: 'reportedFailure',
  timedOut: 'runLimit',
  lost: 'lost',
  cancelled: 'cancelled',
  abandoned: 'abandoned',
};

/**
 * The failure as a pool worker of any version tells it: by its code where that is known, else by its category, else by
 * how the launch ended.
 */
export function toldFailure(
  ending: Exclude<LaunchEnding, 'succeeded'>,
  told: { readonly category?: string | undefined; readonly code?: string | undefined },
): Failure {
  if (told.code !== undefined && isFailureCode(told.code)) return failureOf(told.code);
  const category = failureCategories.find((known) => known === told.category);
  return failureOf(category === undefined ? codesOfEndings[ending] : generalCodes[category]);
}

/** Tells a code of the list from any other word. */
export const isFailureCode = (word: string): word is FailureCode => Object.hasOwn(failureCodes, word);

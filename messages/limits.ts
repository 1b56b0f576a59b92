/**
 * Most of what one message of the ResourcePool service may hold. The api refuses more; a pool worker cuts or splits
 * before it sends.
 */

/** Starts or ends in one request. */
export const mostItems = 500;
/** Reports of progress in one request: they are smaller, and a beat carries all of a worker. */
export const mostProgressItems = 2_000;
/**
 * Bytes of payloads and last progress in one answer to starts, counted before they become strings of its JSON. What
 * does not fit is to be asked for again at once. One payload and one last progress always fit.
 */
export const mostAnswerBytes = 8 * 1024 * 1024;
/** Bytes of the last progress that a handler gets: a Secret holds no more. */
export const mostLastProgressBytes = 1024 * 1024;
/** Characters of what a handler says it is doing. */
export const mostMessageCharacters = 4_096;
/** Diagnostic events in one report. */
export const mostDiagnosticEvents = 1_000;
/** Characters of the message, and of the stack trace, of a diagnostic event. */
export const mostEventCharacters = 65_536;
/** Characters of the code of a diagnostic event. */
export const mostCodeCharacters = 200;
/** Characters of an Agenda's id. */
export const mostAgendaIdCharacters = 200;
/** Characters of where a worker launches. */
export const mostPlaceCharacters = 1_000;
/** Characters of a launcher's name. */
export const mostLauncherCharacters = 100;
/** Launchers of one worker. */
export const mostLaunchers = 20;
/** Characters of the name of a verdict that a worker says it knows. */
export const mostVerdictCharacters = 100;
/** Verdicts that it names. */
export const mostVerdicts = 20;
/** Characters of a worker's name. */
export const mostWorkerCharacters = 500;
/** Operation types of one registry. */
export const mostTypes = 5_000;
/** Characters of a pool worker's version. */
export const mostVersionCharacters = 100;
/** Characters of the digest of a registry. */
export const mostDigestCharacters = 200;
/** Characters of what is wrong with a registry. */
export const mostProblemCharacters = 10_000;
/** Slots, cores or devices of one pool, Agenda or type: more than any has; sums of them stay exact enough. */
export const mostOfEachResource = 1_000_000;
/** Largest attempt and launch: as wide as their columns. */
export const mostOrdinal = 2_147_483_647;
/** Latest time, in epoch milliseconds: the end of the year 9999. */
export const latestTime = 253_402_300_799_999;
